-- Takes one of two layouts away; what is left of it is to be removed. May be done twice.
-- KEYS[1] the hash of what the data was written with; ARGV[1] `next` or `old`; ARGV[2] its epoch,
-- so that nobody who slept takes away another. Answers 1 when it was there.
local shards, epoch = ARGV[1] .. '_shards', ARGV[1] .. '_epoch'
local meta = redis.call('HMGET', KEYS[1], shards, epoch)
if meta[2] ~= ARGV[2] then
    return 0
end
redis.call('HSET', KEYS[1], 'gone_shards', meta[1], 'gone_epoch', meta[2])
redis.call('HDEL', KEYS[1], shards, epoch)
if ARGV[1] == 'old' then
    redis.call('HDEL', KEYS[1], 'old_since')
end
return 1
