-- Takes or renews the right to change the number of shards.
-- KEYS[1] the right; ARGV[1] who asks, ARGV[2] its time to live in milliseconds, ARGV[3] a holder
-- that is known to be dead, or empty. Answers '' when it is the asker's, else who has it.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
    return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
