-- JOIN. ARGV: life, node, description, lease, testimony or nothing, what it holds in lines; again by turns: client, field.
if is_over() then return OVER end
free()
redis.call('SET', lease(ARGV[2]), '', 'PX', ARGV[4])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('HSET', own .. 'joined', ARGV[2], ARGV[4])
local limit = own .. 'limit:' .. ARGV[2]
redis.call('HSETNX', limit, 'm', '0-0')
redis.call('HSETNX', limit, 'credit', '0')
if ARGV[5] ~= '' then
  redis.call('HSET', own .. 'testimony', ARGV[2], ARGV[5])
  redis.call('HSET', own .. 'held', ARGV[2], ARGV[6])
  for i = 7, #ARGV, 2 do
    redis.call('HSET', own .. 'held:' .. ARGV[i], ARGV[i + 1], '')
    redis.call('PEXPIRE', own .. 'held:' .. ARGV[i], DAY)
  end
end
for _, key in ipairs({ limit, own .. 'joined', own .. 'testimony', own .. 'held' }) do redis.call('PEXPIRE', key, DAY) end
return 1
