-- ARGV: life, client, time to live.
if is_over() then return OVER end
free()
local session = redis.call('INCR', own .. 'sessions')
local client, replies = own .. 'client:' .. ARGV[2], own .. 'replies:' .. ARGV[2]
redis.call('HSET', client, 'session', session, 'ttl', ARGV[3])
redis.call('HSET', clients, ARGV[2], '')
-- Answers go to a stream that is there, and nowhere else.
if redis.call('EXISTS', replies) == 0 then
  redis.call('XDEL', replies, redis.call('XADD', replies, '*', 'w', ''))
end
for _, kind in ipairs({ 'client:', 'replies:', 'args:', 'results:', 'blobs:' }) do
  redis.call('PEXPIRE', own .. kind .. ARGV[2], ARGV[3])
end
for _, key in ipairs({ own .. 'sessions', clients, tasks }) do redis.call('PEXPIRE', key, DAY) end
return session
