-- ARGV: life, client.
if is_over() then return OVER end
free()
redis.call('XADD', own .. 'replies:' .. ARGV[2], 'NOMKSTREAM', '*', 'w', '')
return 1
