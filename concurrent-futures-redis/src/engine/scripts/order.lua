-- ARGV: life, kind, name, seq, attempt.
if is_over() then return OVER end
free()
redis.call('XADD', own .. 'control', 'MAXLEN', '1000', '*', 'k', ARGV[2], 'c', ARGV[3], 's', ARGV[4], 'a', ARGV[5])
redis.call('PEXPIRE', own .. 'control', DAY)
return 1
