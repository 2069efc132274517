// Decides: which recent writes still count: those whose time is not over, by the clock of Redis.
// Must not know: what is written.

/** Keys: writes. Returns: the documents, those that end first at the beginning. Atomic: clock and look-up. */
export const readWrites = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
`;
