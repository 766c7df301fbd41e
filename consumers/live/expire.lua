-- Forgets drivers whose newest position is old, some at a time. One step, so that a driver that
-- moves meanwhile is not forgotten.
-- KEYS[1] effective times, KEYS[2] geo index, KEYS[3] newest events, all of one shard;
-- ARGV[1] milliseconds since 1970, ARGV[2] most drivers. Answers how many there were.
local old = redis.call('ZRANGE', KEYS[1], '-inf', '(' .. ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
if #old > 0 then
    redis.call('ZREM', KEYS[2], unpack(old))
    redis.call('HDEL', KEYS[3], unpack(old))
    redis.call('ZREM', KEYS[1], unpack(old))
end
return #old
