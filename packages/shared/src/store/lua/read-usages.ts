// Decides: whose usage counts: that of the gateways that live, by the clock of Redis.
// Must not know: what the usages say.

/** Keys: gateways, usages. Returns: what each gateway that lives has told. Atomic: clock, lives and look-up. */
export const readUsages = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local answer = {}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')) do
  local usage = redis.call('HGET', KEYS[2], name)
  if usage then answer[#answer + 1] = usage end
end
return answer
`;
