// Decides: how a lease is prolonged: only by its holder, under the same epoch.
// Must not know: when to renew.

/**
 * Keys: lease. Arguments: holder, epoch, ttlMs. Returns: 1, or 0 when the lease is lost.
 * Atomic: the test and the new expiry, so that a lease that ended in between is not revived.
 */
export const renew = `
local holder, epoch, ttlMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('GET', KEYS[1]) ~= holder .. '|' .. string.format('%.0f', epoch) then return 0 end
return redis.call('PEXPIRE', KEYS[1], ttlMs)
`;
