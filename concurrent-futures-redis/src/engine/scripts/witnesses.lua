-- ARGV: life. Gives name, testimony, what it still holds in lines, of each node.
if is_over() then return OVER end
local found, told = {}, redis.call('HGETALL', own .. 'testimony')
for i = 1, #told, 2 do
  local held = {}
  each_held(told[i], function(_, _, _, line) held[#held + 1] = line end)
  found[#found + 1] = told[i]
  found[#found + 1] = told[i + 1]
  found[#found + 1] = table.concat(held)
end
return found
