-- ARGV: life. Gives name, testimony, what it held, of each node.
if is_over() then return OVER end
local found, told = {}, redis.call('HGETALL', own .. 'testimony')
for i = 1, #told, 2 do
  found[#found + 1] = told[i]
  found[#found + 1] = told[i + 1]
  found[#found + 1] = redis.call('HGET', own .. 'held', told[i]) or ''
end
return found
