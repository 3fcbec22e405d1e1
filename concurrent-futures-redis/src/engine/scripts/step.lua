-- STEP. ARGV: life, node, limit, credit; how many begins, then by turns entry and client; how many, and which, of backs and
-- of drops; of each answer: entry or nothing, client, answer.
if is_over() then return OVER end

-- Which entries between the lowest and the highest that are asked for the node holds: one look for all of them.
local function held_among(begins, node)
  local mine, from, to = {}, ARGV[6], ARGV[6]
  if begins == 0 then return mine end
  for k = 8, 4 + begins, 2 do
    if is_above(ARGV[k], to) then to = ARGV[k] elseif is_above(from, ARGV[k]) then from = ARGV[k] end
  end
  while true do
    local page = redis.call('XPENDING', tasks, 'nodes', from, to, 1000, node)
    for _, pending in ipairs(page) do mine[pending[1]] = true end
    if #page < 1000 then return mine end
    from = '(' .. page[#page][1]
  end
end

local me = ARGV[2]
-- How many arguments they take.
local begins = 2 * tonumber(ARGV[5])
local backs = tonumber(ARGV[6 + begins])
local drops = tonumber(ARGV[7 + begins + backs])
local first = 8 + begins + backs + drops

-- The field of the answer's attempt in a hash of its client.
local function field(answer)
  local seq, attempt = answer:match('^%d+ (%d+) (%d+)')
  return seq .. '/' .. attempt
end

-- First what makes room: a full server must take answers.
local ids, fields_of, has_args = {}, {}, {}
for i = first, #ARGV, 3 do
  local client = ARGV[i + 1]
  if ARGV[i] ~= '' then ids[#ids + 1] = ARGV[i] end
  if has_args[client] == nil then has_args[client] = redis.call('EXISTS', own .. 'args:' .. client) == 1 end
  if has_args[client] then
    local fields = fields_of[client] or {}
    fields_of[client] = fields
    fields[#fields + 1] = field(ARGV[i + 2])
  end
end
-- Without an answer that has an entry, nothing has been written yet.
if #ids == 0 then free() end
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
    local client, seq, attempt = attempt_of(content(id) or {})
    remove(id)
    if client then redis.call('HDEL', own .. 'args:' .. client, seq .. '/' .. attempt) end
  end
end

local alive = redis.call('EXISTS', lease(me))
local refused = {}
if alive == 1 then
  local living, mine = {}, held_among(begins, me)
  for k = 0, begins - 1, 2 do
    local id, client = ARGV[6 + k], ARGV[7 + k]
    if living[client] == nil then living[client] = lives(client) end
    if not mine[id] then
      refused[#refused + 1] = k / 2
    elseif not living[client] then
      -- Nobody waits for it.
      remove(id)
      refused[#refused + 1] = k / 2
    end
  end
  redis.call('HSET', own .. 'limit:' .. me, 'm', ARGV[3], 'credit', ARGV[4])
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
for i = first, #ARGV, 3 do
  local place = answer(ARGV[i + 1], ARGV[i + 2])
  -- Of a client that has not come it is held on: BURY will tell.
  if place and has_held then redis.call('HDEL', own .. 'held:' .. ARGV[i + 1], field(ARGV[i + 2])) end
  places[#places + 1] = place or ''
end
return { alive, refused, places }
