-- Closes a stream: Redis itself refuses every further entry. Keeps the id of its newest one, in one
-- step, so that nothing comes in between. May be done twice.
-- KEYS[1] the stream, KEYS[2] where the id is kept; ARGV[1] the group that stores, which may be
-- missing with the stream, ARGV[2] the id behind which there is none. Answers the id.
local kept = redis.call('GET', KEYS[2])
if kept then
    return kept
end
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
end
local last = '0-0'
local facts = redis.call('XINFO', 'STREAM', KEYS[1])
for n = 1, #facts, 2 do
    if facts[n] == 'last-generated-id' then
        last = facts[n + 1]
    end
end
redis.call('SET', KEYS[2], last)
redis.call('XSETID', KEYS[1], ARGV[2])
return last
