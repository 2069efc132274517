// Decides: how a recent write is kept: for its time, among so many, and told to those who listen.
// Must not know: what is written.

/**
 * Keys: writes. Arguments: document, ttlMs (the same for all), how many are kept, channel, event. Returns: 1.
 * Atomic: the new one, the end of the old ones, the expiry of all of them, and the event.
 */
export const noteWrite = `
local document, ttlMs, keptMax, channel, event = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttlMs), document)
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -keptMax - 1)
redis.call('PEXPIRE', KEYS[1], ttlMs)
redis.call('PUBLISH', channel, event)
return 1
`;
