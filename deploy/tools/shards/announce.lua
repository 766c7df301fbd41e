-- Announces another number of shards, unless a change is under way, or there are so many.
-- KEYS[1] the hash of what the data was written with; ARGV[1] how many.
-- Answers the epoch of the new layout, which no layout ever had; 0 if none was announced.
local meta = redis.call('HMGET', KEYS[1], 'shards', 'epoch', 'last_epoch', 'next_shards',
    'old_shards', 'gone_shards')
if meta[1] == ARGV[1] or meta[4] or meta[5] or meta[6] then
    return 0
end
local epoch = math.max(tonumber(meta[2] or 1), tonumber(meta[3] or 1)) + 1
redis.call('HSET', KEYS[1], 'next_shards', ARGV[1], 'next_epoch', epoch, 'last_epoch', epoch)
return epoch
