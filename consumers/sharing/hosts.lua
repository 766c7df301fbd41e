-- A host says that it lives, and learns who else does, in one step and by one clock: Redis'.
-- KEYS[1] hosts by when they were last heard of (ms), KEYS[2] what each says of itself, KEYS[3]
-- those that are to hand over, KEYS[4] the news; ARGV[1] the host, ARGV[2] what it says, ARGV[3]
-- after how many ms without a word a host counts no more, ARGV[4] how many news are kept.
-- Answers for each host four values: its name, what it says, '1' if it is to hand over, and how
-- long ago it was heard of (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A full Redis refuses what follows: everybody counts as before then, until there is room.
local new = redis.pcall('ZADD', KEYS[1], now, ARGV[1])
if type(new) == 'number' then
    redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
    -- One whose time lies ahead is of before the clock was set back. If it lives it says so again.
    redis.call('ZREMRANGEBYSCORE', KEYS[1], now + 1, '+inf')
end
if new == 1 then
    redis.call('XADD', KEYS[4], 'MAXLEN', ARGV[4], '*', 'came', ARGV[1])
    -- What is left of hosts that went without a word.
    for _, hash in ipairs({KEYS[2], KEYS[3]}) do
        for _, name in ipairs(redis.call('HKEYS', hash)) do
            if not redis.call('ZSCORE', KEYS[1], name) then
                redis.call('HDEL', hash, name)
            end
        end
    end
end
local answer = {}
local hosts = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for n = 1, #hosts, 2 do
    answer[#answer + 1] = hosts[n]
    answer[#answer + 1] = redis.call('HGET', KEYS[2], hosts[n]) or ''
    answer[#answer + 1] = redis.call('HGET', KEYS[3], hosts[n]) or ''
    answer[#answer + 1] = now - hosts[n + 1]
end
return answer
