// Decides: which gateway may send an excluded upstream its trial.
// Must not know: when a trial is due.

/**
 * Keys: trial. Arguments: holder, ttlMs. Returns: 0 when the trial is the holder's from now on, else the ms for which it
 * is another's. Atomic: the test and the new holder with its expiry. Its holder may take it again, to make it last
 * longer once the trial has begun, or after the client that made it left.
 */
export const takeTrial = `
local holder, ttlMs = ARGV[1], ARGV[2]
local current = redis.call('GET', KEYS[1])
if current and current ~= holder then return math.max(1, redis.call('PTTL', KEYS[1])) end
redis.call('SET', KEYS[1], holder, 'PX', ttlMs)
return 0
`;
