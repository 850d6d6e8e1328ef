-- Gives back some of what was taken. KEYS[1]: the prefix of all keys. ARGV[1]: JSON with `names` of subjects, `amounts`
-- as for taking, `server`, `step`, `day` and `month` of the grant. What is older than a minute is not there any more; keys
-- have no amounts for all time, and tokens no others.
local prefix = KEYS[1]
local given = cjson.decode(ARGV[1])
local amounts, step = given.amounts, string.format('%d', given.step)
for _, name in ipairs(given.names) do
  local base = prefix .. name
  for _, kind in ipairs({ 'calls', 'tokens' }) do
    local key = base .. ':' .. kind
    if amounts[kind] ~= 0 and redis.call('HEXISTS', key, step) == 1 then
      redis.call('HINCRBY', key, step, string.format('%d', -amounts[kind]))
    end
  end
  if amounts.running ~= 0 and redis.call('HEXISTS', base .. ':running', given.server) == 1 then
    redis.call('HINCRBY', base .. ':running', given.server, -amounts.running)
  end
  if amounts.usd ~= 0 then
    for _, period in ipairs({ given.day, given.month, 'all' }) do
      local key = base .. ':usd:' .. period
      if redis.call('EXISTS', key) == 1 then redis.call('DECRBY', key, string.format('%.0f', amounts.usd)) end
    end
  end
end
