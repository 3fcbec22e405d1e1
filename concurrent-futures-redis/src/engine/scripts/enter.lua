-- ENTER. KEYS[1]: where the life is kept. ARGV[1]: the random part of a new one.
local run = redis.call('INFO', 'server'):match('run_id:(%w+)')
local base = KEYS[1]:sub(1, -#'life' - 1)
local life = redis.call('GET', KEYS[1])
if life and life:sub(1, #run + 1) == run .. ':' and redis.call('EXISTS', base .. life .. ':tasks') == 1 then
  return life
end
-- A full server must let in those who empty it: see `free` in `common.lua`.
redis.call('UNLINK', base .. (life or '') .. ':tasks')
life = run .. ':' .. ARGV[1]
local tasks = base .. life .. ':tasks'
redis.call('XGROUP', 'CREATE', tasks, 'nodes', '0', 'MKSTREAM')
redis.call('PEXPIRE', tasks, 86400000)
redis.call('SET', KEYS[1], life)
return life
