-- Makes the totals of fixes added and settled agree with the stream, once nothing waits in it.
-- They differ for good where Redis died between an entry and its count, or where somebody deleted
-- entries. KEYS[1] the stream, KEYS[2] the shard's counts; ARGV the groups that store, each its part
-- of the fixes. Answers 1 when they were changed.
--
-- Without a total of settled fixes nobody has counted here yet: an older release wrote the entries
-- that wait, one fix each. With fewer added than settled one writes beside us that counts nothing:
-- what was settled was added, and so was what waits. A total that is no number counts as none.
local counts = redis.call('HMGET', KEYS[2], 'added', 'settled')
for n = 1, 2 do
    counts[n] = counts[n] and string.match(counts[n], '^%d+$')
end
if counts[1] and counts[1] == counts[2] then
    return 0
end

local function facts(reply)
    local named = {}
    for n = 1, #reply, 2 do
        named[reply[n]] = reply[n + 1]
    end
    return named
end

local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])
if stream.err then
    return 0
end
stream = facts(stream)
local ours = {}
for _, name in ipairs(ARGV) do
    ours[name] = true
end
local found, drained, waiting = 0, 0, 0
for _, reply in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = facts(reply)
    if ours[group['name']] then
        found = found + 1
        local lag = group['lag'] or (stream['length'] - group['pending'])
        waiting = math.max(waiting, lag + group['pending'])
        if group['last-delivered-id'] == stream['last-generated-id'] and group['pending'] == 0 then
            drained = drained + 1
        end
    end
end
if found < #ARGV then
    return 0
end
local added = tonumber(counts[1] or 0)
if drained == #ARGV then
    redis.call('HSET', KEYS[2], 'added', added, 'settled', added)
    return 1
end
local settled = tonumber(counts[2] or 0)
if not counts[2] or (counts[1] and added < settled) then
    local known = math.max(added, settled + waiting)
    redis.call('HSET', KEYS[2], 'added', known, 'settled', settled)
    return 1
end
return 0
