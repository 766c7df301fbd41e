-- Takes or renews the right to change the number of shards.
-- KEYS[1] the right; ARGV[1] who asks, ARGV[2] its time to live in milliseconds, ARGV[3] a holder
-- that is known to be dead, or empty. Answers '' when it is the asker's, else who has it. What lies
-- there and can be no right, or lasts longer than any, holds up nobody.
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'table' then
    redis.call('DEL', KEYS[1])
    holder = false
end
local left = holder and redis.call('PTTL', KEYS[1])
local is_held = holder and left >= 0 and left <= tonumber(ARGV[2])
if is_held and holder ~= ARGV[1] and holder ~= ARGV[3] then
    return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
