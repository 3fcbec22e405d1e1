-- The second half of a put: the value is in its hash; gives it the client's time to live, or takes it out again.
-- ARGV: life, 'args', 'results' or 'blobs', client, field.
local hash = own .. ARGV[2] .. ':' .. ARGV[3]
if is_over() then
  redis.call('HDEL', hash, ARGV[4])
  return OVER
end
local ttl = redis.call('HGET', own .. 'client:' .. ARGV[3], 'ttl')
if not ttl then
  redis.call('UNLINK', hash)
  return 0
end
redis.call('PEXPIRE', hash, ttl)
return 1
