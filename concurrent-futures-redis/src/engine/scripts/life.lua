-- Before every script but `enter.lua`, and all that those need which run for each task: more would take the server longer than
-- their own work.
-- KEYS[1]: where the life of this queue and build is kept; KEYS[2]: the nodes of the queue, of all builds.
-- ARGV[1]: the life that the caller believes in.
local life = ARGV[1]
local own = KEYS[1]:sub(1, -#'life' - 1) .. life .. ':'
local tasks = own .. 'tasks'
local OVER = { err = 'OVER the life is over' }

local function is_over()
  return redis.call('GET', KEYS[1]) ~= life or redis.call('EXISTS', tasks) == 0
end
