-- A result for which there is no memory: it is taken all the same, since what frees memory is its answer.
-- ARGV: life, client, field, value.
if is_over() then return OVER end
free()
local hash = own .. 'results:' .. ARGV[2]
local ttl = redis.call('HGET', own .. 'client:' .. ARGV[2], 'ttl')
if not ttl then return 0 end
redis.call('HSET', hash, ARGV[3], ARGV[4])
redis.call('PEXPIRE', hash, ttl)
return 1
