-- BEAT(c). ARGV: life, client, time to live.
-- Gives whether the client is known; name and description of each node that lives; names that joined in this life.
if is_over() then return OVER end
free()
local known = redis.call('PEXPIRE', own .. 'client:' .. ARGV[2], ARGV[3])
if known == 1 then
  redis.call('HSET', own .. 'client:' .. ARGV[2], 'ttl', ARGV[3])
  for _, kind in ipairs({ 'replies:', 'args:', 'results:' }) do
    redis.call('PEXPIRE', own .. kind .. ARGV[2], ARGV[3])
  end
end
for _, key in ipairs({ own .. 'sessions', clients, tasks, own .. 'control' }) do redis.call('PEXPIRE', key, DAY) end

local living, nodes = {}, redis.call('HGETALL', KEYS[2])
for i = 1, #nodes, 2 do
  if redis.call('EXISTS', lease(nodes[i])) == 1 then
    living[#living + 1] = nodes[i]
    living[#living + 1] = nodes[i + 1]
  end
end

local names, joined = {}, redis.call('HGETALL', own .. 'joined')
for i = 1, #joined, 2 do
  if joined[i + 1] == 'buried' and redis.call('EXISTS', own .. 'buried:' .. joined[i]) == 0 then
    redis.call('HDEL', own .. 'joined', joined[i])
  else
    names[#names + 1] = joined[i]
  end
end
return { known, living, names }
