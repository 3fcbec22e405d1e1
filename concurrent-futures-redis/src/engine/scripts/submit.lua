-- SUBMIT. ARGV: life, most entries; of each attempt: client, session, seq, attempt, time limit, whether the parcel is beside,
-- parcel, seal.
if is_over() then return OVER end
local client, session
for i = 3, #ARGV, 8 do
  if ARGV[i] ~= client or ARGV[i + 1] ~= session then
    client, session = ARGV[i], ARGV[i + 1]
    if redis.call('HGET', own .. 'client:' .. client, 'session') ~= session then
      return redis.error_reply('FENCED not the current session')
    end
  end
end
if redis.call('XLEN', tasks) >= tonumber(ARGV[2]) then return redis.error_reply('FULL the stream is full') end
-- For want of memory the first is refused or none.
local ids = {}
for i = 3, #ARGV, 8 do
  ids[#ids + 1] = redis.call('XADD', tasks, '*', 'c', ARGV[i], 'n', ARGV[i + 1], 's', ARGV[i + 2], 'a', ARGV[i + 3],
    't', ARGV[i + 4], 'b', ARGV[i + 5], 'p', ARGV[i + 6], 'x', ARGV[i + 7])
end
return ids
