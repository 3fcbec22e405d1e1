-- BURY. ARGV: life.
if is_over() then return OVER end
free()

-- Nodes of any build are taken off the list.
local listed = redis.call('HKEYS', KEYS[2])
for _, name in ipairs(listed) do
  if redis.call('EXISTS', lease(name)) == 0 then redis.call('HDEL', KEYS[2], name) end
end

local dead, is_dead = {}, {}
local function look_at(name)
  if not is_dead[name] and redis.call('EXISTS', lease(name)) == 0 then
    is_dead[name] = true
    dead[#dead + 1] = name
  end
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', tasks, 'nodes')) do
  local is = {}
  for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
  -- Also without having joined: a fetch was on its way when its node was buried. Without an entry there is nothing to bury.
  if is.pending > 0 then
    look_at(is.name)
  elseif redis.call('EXISTS', lease(is.name)) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', tasks, 'nodes', is.name)
  end
end
local joined = redis.call('HGETALL', own .. 'joined')
for i = 1, #joined, 2 do
  if not is_buried(joined[i + 1]) then
    look_at(joined[i])
  else
    -- It may hold what a client waits for that had not come then.
    each_held(joined[i], function(client)
      if lives(client) then look_at(joined[i]) end
    end)
  end
end

local function lose(name, client, seq, attempt)
  redis.call('HDEL', own .. 'args:' .. client, seq .. '/' .. attempt)
  return answer(client, '0 ' .. seq .. ' ' .. attempt .. ' 2 0\n' .. name)
end

for _, name in ipairs(dead) do
  local stated = redis.call('HMGET', own .. 'limit:' .. name, 'm', 'credit')
  -- Without a word of the node anything may have begun.
  local limit, credit = stated[1], tonumber(stated[2] or '0')
  while true do
    local page = redis.call('XPENDING', tasks, 'nodes', '-', '+', 1000, name)
    for _, pending in ipairs(page) do
      local id = pending[1]
      local fields = content(id)
      local client, seq, attempt
      if fields then client, seq, attempt = attempt_of(fields) end
      local has_begun = true
      if limit and is_above(id, limit) then
        has_begun = credit > 0
        -- Of the first that are there: one that was taken out has not begun.
        if client then credit = credit - 1 end
      end
      remove(id)
      if client and has_begun then
        lose(name, client, seq, attempt)
      elseif client and lives(client) then
        redis.call('XADD', tasks, '*', unpack(fields))
      end
    end
    if #page < 1000 then break end
  end
  -- Of a client that has not come it stays, for a later burial.
  each_held(name, function(client, seq, attempt)
    if lose(name, client, seq, attempt) then redis.call('HDEL', own .. 'held:' .. client, seq .. '/' .. attempt) end
  end)
  redis.call('XGROUP', 'DELCONSUMER', tasks, 'nodes', name)
  -- `limit:` stays: what is still on its way to the node is judged by the same words.
  local term = redis.call('HGET', own .. 'joined', name)
  if term then
    if is_buried(term) then term = term:sub(8) else redis.call('HSET', own .. 'joined', name, 'buried ' .. term) end
    -- From the last burial on: what it lost lies in the replies for a lease before it is forgotten.
    redis.call('SET', own .. 'buried:' .. name, '', 'PX', term)
  end
end
return dead
