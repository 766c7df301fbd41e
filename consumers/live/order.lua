-- Writes and publishes an order's newest event, unless what is there is as new. For orders that
-- two drivers carry at a time: their fixes come from two shards, and only Redis sees both.
-- KEYS[1] the order, also its channel; ARGV[1] the event, ARGV[2] its time to live in seconds,
-- ARGV[3] the command that publishes.
-- Answers 1 when it was written, 0 when what is there stays.
local function moment(event)
    -- Without the Z, and with a space behind, times compare as text, with a fraction or without.
    local recorded = string.match(event, '"recorded_at":"([^"]+)Z"')
    local received = string.match(event, '"received_at":"([^"]+)Z"')
    if not recorded or not received then
        return nil
    end
    if received < recorded then
        return received .. ' ' .. recorded
    end
    return recorded .. ' ' .. recorded
end

local there = redis.call('GET', KEYS[1])
if there then
    local old, new = moment(there), moment(ARGV[1])
    if old and new and old >= new then
        return 0
    end
end
local reply = redis.pcall('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
-- Also where a full Redis refuses the value: customers who watch need no value.
redis.call(ARGV[3], KEYS[1], ARGV[1])
if reply.err then
    return redis.error_reply(reply.err)
end
return 1
