-- BEAT(c). ARGV: life, client, time to live.
-- Gives whether the client is known; name and description of each node that lives; names that joined in this life.
if is_over() then return OVER end
free()
local known = redis.call('PEXPIRE', own .. 'client:' .. ARGV[2], ARGV[3])
if known == 1 then
  redis.call('HSET', own .. 'client:' .. ARGV[2], 'ttl', ARGV[3])
  for _, kind in ipairs({ 'replies:', 'args:', 'results:', 'blobs:' }) do
    redis.call('PEXPIRE', own .. kind .. ARGV[2], ARGV[3])
  end
end
for _, key in ipairs({ 'sessions', 'clients', 'tasks', 'control', 'joined', 'testimony', 'held', 'held:' .. ARGV[2] }) do
  redis.call('PEXPIRE', own .. key, DAY)
end

local living, nodes = {}, redis.call('HGETALL', KEYS[2])
for i = 1, #nodes, 2 do
  if redis.call('EXISTS', lease(nodes[i])) == 1 then
    living[#living + 1] = nodes[i]
    living[#living + 1] = nodes[i + 1]
  end
end

local names, joined = {}, redis.call('HGETALL', own .. 'joined')
for i = 1, #joined, 2 do
  local name, is_named, is_known = joined[i], true, true
  if is_buried(joined[i + 1]) and redis.call('EXISTS', own .. 'buried:' .. name) == 0 then
    -- What it still holds concerns this client until it is answered, and nobody else.
    is_named, is_known = false, false
    each_held(name, function(client)
      is_known = true
      if client == ARGV[2] then is_named = true end
    end)
  end
  if is_named then names[#names + 1] = name end
  if not is_known then redis.call('HDEL', own .. 'joined', name) end
end
return { known, living, names }
