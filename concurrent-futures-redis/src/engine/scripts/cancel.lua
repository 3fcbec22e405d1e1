-- CANCEL. ARGV: life, client, session, field of its argument, entry.
if is_over() then return OVER end
if redis.call('HGET', own .. 'client:' .. ARGV[2], 'session') ~= ARGV[3] then
  return redis.error_reply('FENCED not the current session')
end
local delivered
for _, group in ipairs(redis.call('XINFO', 'GROUPS', tasks)) do
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then delivered = group[i + 1] end
  end
end
if not delivered or not is_above(ARGV[5], delivered) then return 0 end
local taken = redis.call('XDEL', tasks, ARGV[5])
if taken == 1 then redis.call('HDEL', own .. 'args:' .. ARGV[2], ARGV[4]) end
return taken
