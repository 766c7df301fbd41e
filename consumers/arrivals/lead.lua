-- Takes or renews the right to work out arrivals, in one step.
-- KEYS[1] the right; ARGV[1] who asks; ARGV[2] its time to live in seconds.
-- Answers 1 when it is the asker's. What lies there and can be no right, or lasts longer than any,
-- holds up nobody.
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'table' then
    redis.call('DEL', KEYS[1])
    holder = false
end
local left = holder and redis.call('PTTL', KEYS[1])
local is_held = holder and left >= 0 and left <= ARGV[2] * 1000
if is_held and holder ~= ARGV[1] then
    return 0
end
local reply = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
-- A full Redis takes no right, and nobody else gets it either.
if reply.err and not string.find(reply.err, 'OOM') then
    return redis.error_reply(reply.err)
end
return 1
