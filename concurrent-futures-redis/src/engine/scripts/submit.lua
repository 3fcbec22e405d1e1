-- SUBMIT. ARGV: life, most entries, how many sessions; client and session of each; entries.
if is_over() then return OVER end
local first = 4 + 2 * tonumber(ARGV[3])
for i = 4, first - 1, 2 do
  if redis.call('HGET', own .. 'client:' .. ARGV[i], 'session') ~= ARGV[i + 1] then
    return redis.error_reply('FENCED not the current session')
  end
end
if redis.call('XLEN', tasks) >= tonumber(ARGV[2]) then return redis.error_reply('FULL the stream is full') end
-- For want of memory the first is refused or none.
local ids = {}
for i = first, #ARGV do ids[#ids + 1] = redis.call('XADD', tasks, '*', 'e', ARGV[i]) end
return ids
