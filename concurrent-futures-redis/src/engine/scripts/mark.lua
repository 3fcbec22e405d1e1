-- The first half of READ. ARGV: life, client, up to where it has read, the first entry to keep.
if is_over() then return OVER end
if not lives(ARGV[2]) then return 0 end
local client, replies, results = own .. 'client:' .. ARGV[2], own .. 'replies:' .. ARGV[2], own .. 'results:' .. ARGV[2]
if is_above(ARGV[3], redis.call('HGET', client, 'mark') or '0-0') then
  -- Without any result beside, the replies need not be looked at.
  if redis.call('EXISTS', results) == 1 then
    for _, entry in ipairs(redis.call('XRANGE', replies, '-', ARGV[3])) do
      local seq, attempt, beside = entry[2][2]:match('^%d+ (%d+) (%d+) %d (%d)\n')
      if beside == '1' then redis.call('HDEL', results, seq .. '/' .. attempt) end
    end
  end
  redis.call('XTRIM', replies, 'MINID', ARGV[4])
  redis.call('HSET', client, 'mark', ARGV[3])
end
return 1
