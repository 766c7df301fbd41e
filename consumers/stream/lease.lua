-- Takes or renews the lease on a shard, in one step.
-- KEYS[1] the lease, KEYS[2] the fence; ARGV[1] who asks, ARGV[2] its time to live in seconds,
-- ARGV[3] a holder that is known to be dead, or empty, ARGV[4] by how much the fence grows when the
-- lease is taken. Answers '' when the lease is the asker's, else who holds it, and the number of the
-- fence.
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    return {'', redis.call('GET', KEYS[2]) or ''}
end
if not holder or (ARGV[3] ~= '' and holder == ARGV[3]) then
    -- Whoever held it before writes no more from here on.
    local fence = redis.pcall('INCRBY', KEYS[2], ARGV[4])
    local reply = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    -- Redis is full: only storing and acknowledging can empty it, so the shard must run.
    if type(reply) == 'table' and reply.err and not string.find(reply.err, 'OOM') then
        return redis.error_reply(reply.err)
    end
    return {'', redis.call('GET', KEYS[2]) or ''}
end
return {holder, ''}
