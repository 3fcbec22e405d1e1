-- ARGV: life. Gives where the last order lies.
if is_over() then return OVER end
local last = redis.call('XREVRANGE', own .. 'control', '+', '-', 'COUNT', '1')[1]
return last and last[1] or '0-0'
