-- Takes or renews the lease on a shard, in one step.
-- KEYS[1] the lease, KEYS[2] the fence; ARGV[1] who asks, ARGV[2] its time to live in seconds,
-- ARGV[3] a holder that is known to be dead, or empty, ARGV[4] by how much the fence grows when the
-- lease is taken. Answers '' when the lease is the asker's, else who holds it, and the number of the
-- fence. What lies there and can be no lease or no fence is rubbish, and holds up nobody.
local function fence()
    local number = redis.pcall('GET', KEYS[2])
    if type(number) == 'table' then
        redis.call('SET', KEYS[2], ARGV[4])
        return ARGV[4]
    end
    return number or ''
end

local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'table' then
    redis.call('DEL', KEYS[1])
    holder = false
end
if holder == ARGV[1] then
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    return {'', fence()}
end
local left = holder and redis.call('PTTL', KEYS[1])
-- One that lasts longer than any was not written by a worker, or the clock was set back since, and
-- who lives has renewed it by now.
local is_free = not holder or left < 0 or left > ARGV[2] * 1000
if is_free or (ARGV[3] ~= '' and holder == ARGV[3]) then
    -- Whoever held it before writes no more from here on.
    local grown = redis.pcall('INCRBY', KEYS[2], ARGV[4])
    if type(grown) == 'table' and not string.find(grown.err, 'OOM') then
        redis.call('SET', KEYS[2], ARGV[4])
    end
    local reply = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    -- Redis is full: only storing and acknowledging can empty it, so the shard must run.
    if type(reply) == 'table' and reply.err and not string.find(reply.err, 'OOM') then
        return redis.error_reply(reply.err)
    end
    return {'', fence()}
end
return {holder, ''}
