-- BEAT(n). ARGV: life, node, description, lease. Gives whether the name lives; the clients that live.
if is_over() then return OVER end
free()
local alive = 0
-- Never brought back: whoever ran out may be buried.
if redis.call('SET', lease(ARGV[2]), '', 'XX', 'PX', ARGV[4]) then
  alive = 1
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
  for _, key in ipairs({ 'tasks', 'joined', 'testimony', 'held', 'clients', 'sessions', 'limit:' .. ARGV[2] }) do
    redis.call('PEXPIRE', own .. key, DAY)
  end
end
local living = {}
for _, client in ipairs(redis.call('HKEYS', clients)) do
  if lives(client) then living[#living + 1] = client else redis.call('HDEL', clients, client) end
end
return { alive, living }
