-- STEP. ARGV: life, node, limit, credit; how many, and which, of begins, backs, drops; of each answer: entry or nothing,
-- client, seq, attempt, kind, whether the reply is beside, reply, seal.
-- Gives whether the name lives; the indices of the begins that were refused; the place of each answer, or nothing.
if is_over() then return OVER end
free()
local me = ARGV[2]
local begins = tonumber(ARGV[5])
local backs = tonumber(ARGV[6 + begins])
local drops = tonumber(ARGV[7 + begins + backs])
local first = 8 + begins + backs + drops

-- First what makes room: a full server must take answers.
local ids, fields_of = {}, {}
for i = first, #ARGV, 8 do
  if ARGV[i] ~= '' then ids[#ids + 1] = ARGV[i] end
  local fields = fields_of[ARGV[i + 1]] or {}
  fields_of[ARGV[i + 1]] = fields
  fields[#fields + 1] = ARGV[i + 2] .. '/' .. ARGV[i + 3]
end
in_batches(ids, function(...)
  redis.call('XACK', tasks, 'nodes', ...)
  redis.call('XDEL', tasks, ...)
end)
for client, fields in pairs(fields_of) do
  in_batches(fields, function(...) redis.call('HDEL', own .. 'args:' .. client, ...) end)
end
for k = 1, drops do
  local id = ARGV[7 + begins + backs + k]
  if is_held_by(id, me) then
    local _, by_name = content(id)
    remove(id)
    if by_name then redis.call('HDEL', own .. 'args:' .. by_name.c, by_name.s .. '/' .. by_name.a) end
  end
end

local alive = redis.call('EXISTS', lease(me))
local refused = {}
if alive == 1 then
  local living = {}
  for k = 0, begins - 1 do
    local id = ARGV[6 + k]
    if not is_held_by(id, me) then
      refused[#refused + 1] = k
    else
      local _, by_name = content(id)
      local client = by_name and by_name.c
      if client and living[client] == nil then living[client] = lives(client) end
      if not client or not living[client] then
        -- Nobody waits for it.
        remove(id)
        refused[#refused + 1] = k
      end
    end
  end
  redis.call('HSET', own .. 'limit:' .. me, 'm', ARGV[3], 'credit', ARGV[4])
  redis.call('PEXPIRE', own .. 'limit:' .. me, DAY)
end

for k = 1, backs do
  local id = ARGV[6 + begins + k]
  if is_held_by(id, me) then
    local fields = content(id)
    remove(id)
    if fields then redis.call('XADD', tasks, '*', unpack(fields)) end
  end
end

local places, has_held = {}, redis.call('EXISTS', own .. 'held') == 1
for i = first, #ARGV, 8 do
  local place = answer(unpack(ARGV, i + 1, i + 7))
  -- Of a client that has not come it is held on: BURY will tell.
  if place and has_held then redis.call('HDEL', own .. 'held:' .. ARGV[i + 1], ARGV[i + 2] .. '/' .. ARGV[i + 3]) end
  places[#places + 1] = place or ''
end
return { alive, refused, places }
