-- A page of SCAN. ARGV: life, client, first entry, how many entries to look at.
-- Gives the last entry it looked at, or nothing if there are no more; entry, seq, attempt of each that is the client's; with
-- the last page, as `seq/attempt`, what testimonies hold of it.
if is_over() then return OVER end
local page = redis.call('XRANGE', tasks, ARGV[3], '+', 'COUNT', ARGV[4])
local found, last = {}, ''
if #page == tonumber(ARGV[4]) then last = page[#page][1] end
for _, entry in ipairs(page) do
  local client, seq, attempt = attempt_of(entry[2])
  if client == ARGV[2] then
    found[#found + 1] = entry[1]
    found[#found + 1] = seq
    found[#found + 1] = attempt
  end
end
-- Not before the last: a node may join meanwhile.
local held = {}
if last == '' then held = redis.call('HKEYS', own .. 'held:' .. ARGV[2]) end
return { last, found, held }
