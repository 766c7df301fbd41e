-- Makes the layout that is coming the one that is written, in one step; may be done twice.
-- KEYS[1] the hash of what the data was written with; ARGV[1] the epoch that is coming.
-- Answers 1 when that is the one that is written.
local meta = redis.call('HMGET', KEYS[1], 'shards', 'epoch', 'next_shards', 'next_epoch')
if meta[2] == ARGV[1] then
    return 1
end
if meta[4] ~= ARGV[1] then
    return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'shards', meta[3], 'epoch', meta[4], 'old_shards', meta[1],
    'old_epoch', meta[2] or '1', 'old_since', now)
redis.call('HDEL', KEYS[1], 'next_shards', 'next_epoch')
return 1
