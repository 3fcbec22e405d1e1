-- The first half of READ. ARGV: life, client, up to where it has read, the first entry to keep.
if is_over() then return OVER end
if not lives(ARGV[2]) then return 0 end
local client = own .. 'client:' .. ARGV[2]
if is_above(ARGV[3], redis.call('HGET', client, 'mark') or '0-0') then
  redis.call('XTRIM', own .. 'replies:' .. ARGV[2], 'MINID', ARGV[4])
  redis.call('HSET', client, 'mark', ARGV[3])
end
return 1
