-- One driver's fixes into a stream, as many as its rate allows: GCRA and the XADDs as one step.
--
-- KEYS: the driver's state, the stream (both in the driver's shard, so in one slot).
-- ARGV: 1 to take all events or none, 0 to take those that fit; fixes to lease beyond those given;
-- microseconds between two fixes; the same times the burst; the stream's field; the events.
-- The state is the theoretical arrival time in microseconds: everything taken so far, spread out
-- at the limit's pace, ends there. It may lie as far ahead of now as the burst is long.
-- Returns: events added, fixes leased, microseconds until the rest (or one more) would fit, the
-- id of the last entry.
-- The state is written last: when Redis is full the XADD fails first and nothing was charged.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease, interval, span = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local given = #ARGV - 5
local arrival = math.max(now, tonumber(redis.call('GET', KEYS[1])) or 0)
-- Further ahead than a burst: the clock has stepped back. Nobody is kept out until it is there again.
if arrival > now + span then arrival = now end
local free = math.floor((now + span - arrival) / interval)
local added = math.max(0, math.min(given, free))
-- More than the burst can never fit at once: then what fits.
if ARGV[1] == '1' and added < given and given * interval <= span then
  added, lease = 0, 0
end
local leased = math.max(0, math.min(lease, free - added))
local id = ''
for i = 6, 5 + added do
  id = redis.call('XADD', KEYS[2], '*', ARGV[5], ARGV[i])
end
if added + leased > 0 then
  arrival = arrival + (added + leased) * interval
  local kept = math.ceil((arrival - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', kept)
end
local wanted = math.max(1, given - added) * interval
return {added, leased, math.max(0, math.ceil(arrival + wanted - span - now)), id}
