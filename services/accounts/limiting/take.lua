-- Counts amounts for every subject, or for none if a limit of one does not allow it.
--
-- KEYS[1]: the prefix of all keys. ARGV[1]: JSON with `subjects` (name, and limits of calls, tokens, running, day_usd and
-- month_usd, -1 for none), `scoped` (tokens of keys: name, and a limit of usd for all time), `amounts` (calls, running,
-- tokens, usd), `server` (an id), `day`, `month`. USD are in nanodollars. Returns JSON: `unknown`, the name of a scoped
-- token whose spending is not here; or `step`, and either `refused` (name, limit, steps to wait, -1 for ever) or
-- `standing`.
local prefix = KEYS[1]
local asked = cjson.decode(ARGV[1])
local amounts = asked.amounts
local STEPS, LEASE = 240, 15
local time = redis.call('TIME')
local seconds = tonumber(time[1]) + tonumber(time[2]) / 1e6
local step = math.floor(seconds / 0.25)

redis.call('HSET', prefix .. 'alive', asked.server, math.floor(seconds))

-- The sum over the last minute, and its steps in order; those that are older are removed.
local function window(key)
  local found, total, steps = redis.call('HGETALL', key), 0, {}
  for i = 1, #found, 2 do
    local at = tonumber(found[i])
    if at <= step - STEPS then
      redis.call('HDEL', key, found[i])
    else
      total = total + tonumber(found[i + 1])
      steps[#steps + 1] = { at, tonumber(found[i + 1]) }
    end
  end
  table.sort(steps, function(a, b) return a[1] < b[1] end)
  return { total = total, steps = steps }
end

local function wait(one, excess)
  for _, pair in ipairs(one.steps) do
    excess = excess - pair[2]
    if excess <= 0 then return pair[1] + STEPS - step end
  end
  return 0
end

-- Calls of servers that are alive; a server that died has none any more.
local function running(key)
  local found, total = redis.call('HGETALL', key), 0
  for i = 1, #found, 2 do
    local alive = tonumber(redis.call('HGET', prefix .. 'alive', found[i]) or 0)
    if alive < seconds - LEASE then
      redis.call('HDEL', key, found[i])
    else
      total = total + tonumber(found[i + 1])
    end
  end
  return total
end

local function gauge(one, limit)
  local newest = #one.steps > 0 and one.steps[#one.steps][1] or step - STEPS
  return { limit, math.max(limit - one.total, 0), newest + STEPS - step }
end

local used, standing = {}, {}
for _, token in ipairs(asked.scoped) do
  local spent = tonumber(redis.call('GET', prefix .. token.name .. ':usd:all') or '')
  if spent == nil then return cjson.encode({ unknown = token.name }) end
  if spent + amounts.usd > token.usd or spent >= token.usd then
    return cjson.encode({ step = step, refused = { token.name, 'spending_limit', -1 } })
  end
end
for number, subject in ipairs(asked.subjects) do
  local base = prefix .. subject.name
  local calls, tokens = window(base .. ':calls'), window(base .. ':tokens')
  used[number] = { calls = calls, tokens = tokens }
  local function refused(limit, steps)
    local own = {}
    if subject.calls >= 0 then own.calls = gauge(calls, subject.calls) end
    if subject.tokens >= 0 then own.tokens = gauge(tokens, subject.tokens) end
    return cjson.encode({ step = step, refused = { subject.name, limit, steps }, standing = own })
  end
  for _, kind in ipairs({ 'calls', 'tokens' }) do
    local limit, amount, one = subject[kind], amounts[kind], used[number][kind]
    if limit >= 0 and amount > 0 and one.total + amount > limit then
      return refused(kind .. '_per_minute', amount > limit and -1 or wait(one, one.total + amount - limit))
    end
  end
  if subject.running >= 0 and amounts.running > 0
    and running(base .. ':running') + amounts.running > subject.running then
    return refused('concurrent_calls', subject.running == 0 and -1 or 4)
  end
  for _, pair in ipairs({ { 'day', asked.day }, { 'month', asked.month } }) do
    local budget = subject[pair[1] .. '_usd']
    local spent = tonumber(redis.call('GET', base .. ':usd:' .. pair[2]) or 0)
    if budget >= 0 and (spent + amounts.usd > budget or spent >= budget) then
      return refused('usd_per_' .. pair[1], 0)
    end
  end
end

local function add(key, one, amount)
  if amount == 0 then return end
  redis.call('HINCRBY', key, string.format('%d', step), string.format('%d', amount))
  redis.call('EXPIRE', key, 120)
  one.total = one.total + amount
  local last = one.steps[#one.steps]
  if last == nil or last[1] ~= step then one.steps[#one.steps + 1] = { step, amount } end
end

for _, token in ipairs(asked.scoped) do
  redis.call('INCRBY', prefix .. token.name .. ':usd:all', string.format('%.0f', amounts.usd))
end
for number = #asked.subjects, 1, -1 do
  local subject, one = asked.subjects[number], used[number]
  local base = prefix .. subject.name
  add(base .. ':calls', one.calls, amounts.calls)
  add(base .. ':tokens', one.tokens, amounts.tokens)
  if amounts.running ~= 0 then
    redis.call('HINCRBY', base .. ':running', asked.server, amounts.running)
    redis.call('EXPIRE', base .. ':running', 86400)
  end
  if amounts.usd ~= 0 then
    for period, days in pairs({ [asked.day] = 3, [asked.month] = 40 }) do
      redis.call('INCRBY', base .. ':usd:' .. period, string.format('%.0f', amounts.usd))
      redis.call('EXPIRE', base .. ':usd:' .. period, days * 86400)
    end
  end
  if subject.calls >= 0 then standing.calls = gauge(one.calls, subject.calls) end
  if subject.tokens >= 0 then standing.tokens = gauge(one.tokens, subject.tokens) end
end
return cjson.encode({ step = step, standing = standing })
