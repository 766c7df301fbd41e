-- Says again which layout is written, where that was lost with everything else.
-- KEYS[1] the hash of what the data was written with; ARGV[1] shards, ARGV[2] epoch, ARGV[3] format.
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], 'shards', ARGV[1], 'epoch', ARGV[2], 'format', ARGV[3])
end
return 1
