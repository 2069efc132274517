// Decides: how a sidecar shows that it lives and learns which others do.
// Must not know: what they tell of themselves.

/**
 * Keys: sidecars, their beats. Arguments: instance, lifeMs, content. Returns: instance and content of every other sidecar
 * that lives, one after another. Atomic: the renewed life, the content, the removal of the dead, and what is read. Lives
 * are counted by the server's clock, so the sidecars' clocks do not matter.
 */
export const attend = `
local instance, lifeMs, content = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
for _, name in ipairs(dead) do redis.call('HDEL', KEYS[2], name) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lifeMs), instance)
redis.call('HSET', KEYS[2], instance, content)
redis.call('PEXPIRE', KEYS[1], lifeMs)
redis.call('PEXPIRE', KEYS[2], lifeMs)
local answer = {}
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  if all[at] ~= instance then
    answer[#answer + 1] = all[at]
    answer[#answer + 1] = all[at + 1]
  end
end
return answer
`;
