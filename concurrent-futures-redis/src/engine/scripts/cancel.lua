-- CANCEL. ARGV: life, client, field of its argument, entry.
if is_over() then return OVER end
local delivered
for _, group in ipairs(redis.call('XINFO', 'GROUPS', tasks)) do
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then delivered = group[i + 1] end
  end
end
if not delivered or not is_above(ARGV[4], delivered) then return 0 end
local taken = redis.call('XDEL', tasks, ARGV[4])
if taken == 1 then redis.call('HDEL', own .. 'args:' .. ARGV[2], ARGV[3]) end
return taken
