-- ARGV: life, node.
if is_over() then return OVER end
free()
redis.call('UNLINK', lease(ARGV[2]))
redis.call('HDEL', KEYS[2], ARGV[2])
each_held(ARGV[2], function(client, seq, attempt) redis.call('HDEL', own .. 'held:' .. client, seq .. '/' .. attempt) end)
for _, hash in ipairs({ 'joined', 'testimony', 'held' }) do redis.call('HDEL', own .. hash, ARGV[2]) end
-- What is still on its way to it was not begun.
local limit = own .. 'limit:' .. ARGV[2]
if redis.call('EXISTS', limit) == 1 then redis.call('HSET', limit, 'credit', '0') end
-- With its consumer, entries that it holds all the same would be nobody's: they wait for BURY.
if #redis.call('XPENDING', tasks, 'nodes', '-', '+', 1, ARGV[2]) == 0 then
  redis.call('XGROUP', 'DELCONSUMER', tasks, 'nodes', ARGV[2])
end
return 1
