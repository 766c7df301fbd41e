-- One driver's fixes into a stream, as many as its rate allows: GCRA and the XADD as one step.
--
-- KEYS: the driver's state, the stream, the shard's counts (all in the driver's shard, so in one
-- slot).
-- ARGV: 1 to take all events or none, 0 to take those that fit; fixes to lease beyond those given;
-- microseconds between two fixes; the same times the burst; the stream's field; the total of added
-- fixes among the counts; most events and most bytes of a pack; the events.
-- The state is the theoretical arrival time in microseconds: everything taken so far, spread out
-- at the limit's pace, ends there. It may lie as far ahead of now as the burst is long.
-- Returns: events added, fixes leased, microseconds until the rest (or one more) would fit, the
-- id of the last entry.
-- What is added is one pack, or as few as its bounds allow: the rule of `common.stream.pack`.
-- The state is written last: when Redis is full the XADD fails first and nothing was charged.
local FIRST = 9
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease, interval, span = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local given = #ARGV - FIRST + 1
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
if added > 0 then
  local events_max, bytes_max = tonumber(ARGV[7]), tonumber(ARGV[8])
  local begin, size, last = FIRST, 0, FIRST + added - 1
  for i = FIRST, last do
    size = size + #ARGV[i] + 1
    if i > begin and (i - begin >= events_max or size - 1 > bytes_max) then
      redis.call('XADD', KEYS[2], '*', ARGV[5], table.concat(ARGV, '\n', begin, i - 1))
      begin, size = i, #ARGV[i] + 1
    end
  end
  id = redis.call('XADD', KEYS[2], '*', ARGV[5], table.concat(ARGV, '\n', begin, last))
  redis.call('HINCRBY', KEYS[3], ARGV[6], added)
end
if added + leased > 0 then
  arrival = arrival + (added + leased) * interval
  local kept = math.ceil((arrival - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', kept)
end
local wanted = math.max(1, given - added) * interval
return {added, leased, math.max(0, math.ceil(arrival + wanted - span - now)), id}
