// Decides: how a lease is taken: only when nobody else holds it, with an epoch that has never been given out.
// Must not know: who asks, or what is published under the lease.

/**
 * Keys: lease, epoch. Arguments: holder, ttlMs. Returns: the new epoch, or false when somebody else holds the lease.
 * Who asks for what it has did not hear that it got it.
 * Atomic: the test, the new epoch and the lease. The epoch key never expires; should it be lost all the same
 * (FLUSHALL, an old restore), the server's clock keeps the next epoch above every one given out before.
 * `%.0f` because Lua prints numbers of 15 digits and more as 1e+15.
 */
export const acquire = `
local holder, ttlMs = ARGV[1], tonumber(ARGV[2])
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #holder + 1) ~= holder .. '|' then return false end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local stored = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
local epoch = math.max(stored + 1, now)
redis.call('SET', KEYS[2], string.format('%.0f', epoch))
redis.call('SET', KEYS[1], holder .. '|' .. string.format('%.0f', epoch), 'PX', ttlMs)
return epoch
`;
