-- Adds what the ledger has as spent to a store that has begun with nothing; does nothing in one that has it already.
--
-- Calls may have been counted before, so that it is added: those of the last second may count twice, none is forgotten.
-- KEYS[1]: the prefix of all keys. ARGV[1]: JSON with a list of name, period, nanodollars and days until it is removed.
local prefix = KEYS[1]
if redis.call('SETNX', prefix .. 'remembered', 1) == 0 then return end
for _, spent in ipairs(cjson.decode(ARGV[1])) do
  local key = prefix .. spent[1] .. ':usd:' .. spent[2]
  redis.call('INCRBY', key, string.format('%.0f', spent[3]))
  redis.call('EXPIRE', key, spent[4] * 86400)
end
