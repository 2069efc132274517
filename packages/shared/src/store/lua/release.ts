// Decides: how a lease is given back: only by its holder, and said to those who wait.
// Must not know: who waits.

/**
 * Keys: lease. Arguments: holder, epoch, channel, event. Returns: 1, or 0 when the lease was lost before.
 * Atomic: the test and the deletion, so that a successor's lease is never deleted. The channel is no key, hence
 * an argument: PUBLISH reaches every node of a Redis Cluster from any slot.
 */
export const release = `
local holder, epoch, channel, event = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
if redis.call('GET', KEYS[1]) ~= holder .. '|' .. string.format('%.0f', epoch) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', channel, event)
return 1
`;
