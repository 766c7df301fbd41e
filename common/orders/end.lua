-- Ends an order: marks it, drops its position, takes it out of its book and tells who watches.
-- A full Redis refuses the first command, and then nothing is done: who watches must not be told
-- of an end that others would not find.
-- KEYS: the marker of its end; its newest event, also its channel; its book; what is due.
-- ARGV: order id; the marker's time to live in seconds; the frame for who watches; when it ended,
-- for the database, empty if that knows; how many may be due; the field of a complete book; the
-- command that publishes.
-- Answers 1 if the order may be a registered one.
redis.call('SET', KEYS[1], '1', 'EX', ARGV[2])
local known = redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1
    or redis.call('HEXISTS', KEYS[3], ARGV[6]) == 0
if known and ARGV[4] ~= '' and redis.call('HLEN', KEYS[4]) < tonumber(ARGV[5]) then
    redis.call('HSETNX', KEYS[4], ARGV[1], ARGV[4])
end
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call(ARGV[7], KEYS[2], ARGV[3])
return known and 1 or 0
