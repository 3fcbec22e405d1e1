-- ARGV: life, client.
if is_over() then return OVER end
for _, kind in ipairs({ 'client:', 'replies:', 'args:', 'results:', 'blobs:', 'held:' }) do redis.call('UNLINK', own .. kind .. ARGV[2]) end
redis.call('HDEL', clients, ARGV[2])
return 1
