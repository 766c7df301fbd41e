-- A host says that it lives, and learns who else does, in one step and by one clock: Redis'.
-- KEYS[1] hosts by when they were last heard of (ms), KEYS[2] what each says of itself, KEYS[3]
-- those that are to hand over, KEYS[4] the news; ARGV[1] the host, ARGV[2] what it says, ARGV[3]
-- after how many ms without a word a host counts no more, ARGV[4] how many news are kept, ARGV[5]
-- how many hosts may count, ARGV[6] how many bytes a host may say, and then the hosts that hold
-- shards: where there are too many, those among these are all that count.
-- Answers how many there are, and for each that counts three values: its name, what it says, and
-- '1' if it is to hand over.
-- What somebody else has put there is rubbish, and must not stop all hosts.
for n, kind in ipairs({'zset', 'hash', 'hash', 'stream'}) do
    local there = redis.call('TYPE', KEYS[n]).ok
    if there ~= kind and there ~= 'none' then
        redis.call('DEL', KEYS[n])
    end
end
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
local answer = {redis.call('ZCARD', KEYS[1])}
local names = {unpack(ARGV, 7)}
if answer[1] <= tonumber(ARGV[5]) then
    names = redis.call('ZRANGE', KEYS[1], 0, -1)
end
for _, name in ipairs(names) do
    if redis.call('ZSCORE', KEYS[1], name) then
        local said = redis.call('HGET', KEYS[2], name) or ''
        answer[#answer + 1] = name
        answer[#answer + 1] = #said <= tonumber(ARGV[6]) and said or ''
        answer[#answer + 1] = redis.call('HEXISTS', KEYS[3], name) == 1 and '1' or ''
    end
end
return answer
