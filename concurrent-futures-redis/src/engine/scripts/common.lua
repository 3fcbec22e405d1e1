-- What scripts have in common, behind `life.lua`.
local clients = own .. 'clients'
local DAY = 86400000

-- Once a script has called a command that writes, the server refuses it none for want of memory. This one writes nothing.
local function free()
  redis.call('UNLINK', own .. 'nothing')
end

local function lease(node)
  return KEYS[2]:sub(1, -#'nodes' - 1) .. 'lease:' .. node
end

-- What `joined` says of a node: its lease in milliseconds, behind `buried ` once it was buried.
local function is_buried(word)
  return word:sub(1, 6) == 'buried'
end

local function lives(client)
  return redis.call('EXISTS', own .. 'client:' .. client) == 1
end

-- Numbers as text: a Lua number has not enough digits.
local function is_less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

-- Whether entry `a` comes after entry `b`.
local function is_above(a, b)
  local a_millis, a_number = a:match('(%d+)-(%d+)')
  local b_millis, b_number = b:match('(%d+)-(%d+)')
  if a_millis ~= b_millis then return is_less(b_millis, a_millis) end
  return is_less(b_number, a_number)
end

-- Calls `f` with at most 1000 values at a time: a call takes no more than a few thousand.
local function in_batches(values, f)
  for from = 1, #values, 1000 do
    f(unpack(values, from, math.min(from + 999, #values)))
  end
end

-- An entry and an answer have one field each, since a server's work for a task grows with the number of its fields: a line of
-- words, the seal, the payload. `value.rs` writes and reads them. The line of an entry: length of the seal, seq, attempt,
-- session, time limit, whether the parcel is beside, client.

-- Client, seq and attempt of an entry of the stream; nothing if somebody else put it there.
local function attempt_of(fields)
  if fields[1] ~= 'e' then return nil end
  local seq, attempt, client = fields[2]:match('^%d+ (%d+) (%d+) %d+ %d+ %d ([^\n]+)\n')
  return client, seq, attempt
end

-- The fields of an entry of the stream; nothing if it is not there.
local function content(id)
  local entry = redis.call('XRANGE', tasks, id, id)[1]
  return entry and entry[2]
end

local function is_held_by(id, node)
  local pending = redis.call('XPENDING', tasks, 'nodes', id, id, 1)[1]
  return pending and pending[2] == node
end

local function remove(id)
  redis.call('XACK', tasks, 'nodes', id)
  redis.call('XDEL', tasks, id)
end

-- Calls `f` with client, field and line of each attempt that a node testified to hold and that is not answered since.
local function each_held(node, f)
  local told = redis.call('HGET', own .. 'held', node) or ''
  for line, seq, attempt, client in told:gmatch('((%d+) (%d+) ([^\n]*)\n)') do
    local field = seq .. '/' .. attempt
    if redis.call('HEXISTS', own .. 'held:' .. client, field) == 1 then f(client, seq, attempt, line) end
  end
end

-- Gives the place of the answer in the client's stream; false if there is none. Its line: length of the seal,
-- seq, attempt, kind, whether the reply is beside.
local function answer(client, packed)
  return redis.call('XADD', own .. 'replies:' .. client, 'NOMKSTREAM', '*', 'r', packed)
end
