-- Acknowledges entries and counts their fixes as settled, once however often it is asked.
-- KEYS[1] the stream, KEYS[2] the shard's counts; ARGV[1] the group, ARGV[2] how many fixes the
-- entries hold, then their ids. Answers how many were pending. The acknowledgement comes first:
-- a full Redis takes that, and then whatever follows it here.
local acked = redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 3))
if acked > 0 then
    redis.call('HINCRBY', KEYS[2], 'settled', ARGV[2])
end
return acked
