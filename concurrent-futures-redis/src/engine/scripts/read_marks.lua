-- ARGV: life, clients. Gives how far each has read; nothing of one that is gone.
if is_over() then return OVER end
local marks = {}
for i = 2, #ARGV do
  marks[#marks + 1] = lives(ARGV[i]) and (redis.call('HGET', own .. 'client:' .. ARGV[i], 'mark') or '0-0') or ''
end
return marks
