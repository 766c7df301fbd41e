-- Writes an active order to its book, unless the book has a newer version or the order has ended,
-- and drops the order's position if another driver made it.
-- KEYS: the book; the order's newest event, also its channel; the marker of its end.
-- ARGV: order id; its JSON; its version; how an event of its driver begins, empty without a driver;
-- a message for who watches; an event of its driver to begin with, or empty; its time to live; the
-- command that publishes.
if redis.call('EXISTS', KEYS[3]) == 1 then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 0
end
local there = redis.call('HGET', KEYS[1], ARGV[1])
local known = there and tonumber(string.match(there, '^{"version":(%d+)')) or 0
local version = tonumber(ARGV[3])
if version < known then
    return 0
end
if version > known then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
local driver = ARGV[4]
local event = driver ~= '' and redis.call('GET', KEYS[2])
if event and string.sub(event, 1, #driver) ~= driver then
    redis.call('DEL', KEYS[2])
    event = false
end
redis.call(ARGV[8], KEYS[2], ARGV[5])
if ARGV[6] ~= '' and not event then
    redis.call('SET', KEYS[2], ARGV[6], 'EX', ARGV[7])
    redis.call(ARGV[8], KEYS[2], ARGV[6])
end
return 1
