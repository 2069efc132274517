// Decides: how a gateway shows that it lives and learns who else does.
// Must not know: what the beats say.

/**
 * Keys: gateways, beats, usages. Arguments: instance, lifeMs, content, usage ('' where they have not changed). Returns: 1, or 0 when the
 * content is not there (the first beat, lost data) and must be sent whole with the next beat; then instance and content
 * of every other gateway that lives, one after another.
 * Atomic: the renewed life, the content, the removal of the dead, and what is read. Lives are counted by the server's
 * clock, so the gateways' clocks do not matter.
 */
export const beat = `
local instance, lifeMs, content, usage = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)
for _, name in ipairs(dead) do
  redis.call('HDEL', KEYS[2], name)
  redis.call('HDEL', KEYS[3], name)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lifeMs), instance)
if content ~= '' then redis.call('HSET', KEYS[2], instance, content) end
if usage ~= '' then redis.call('HSET', KEYS[3], instance, usage) end
redis.call('PEXPIRE', KEYS[1], lifeMs)
redis.call('PEXPIRE', KEYS[2], lifeMs)
redis.call('PEXPIRE', KEYS[3], lifeMs)
local answer = { 0 }
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  if all[at] == instance then
    answer[1] = 1
  else
    answer[#answer + 1] = all[at]
    answer[#answer + 1] = all[at + 1]
  end
end
return answer
`;
