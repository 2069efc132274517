// Decides: how a gateway's report is added to those of the network, and said to those who listen.
// Must not know: what a report says.

/**
 * Keys: reports. Arguments: ttlMs, limit, document, channel, event. Returns: the report's id, which is a time of the
 * server and rises with each report. Atomic: the report, the removal of the oldest beyond the limit, the expiry of all,
 * and the event: who hears of it finds it.
 */
export const report = `
local ttlMs, limit, document, channel, event = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local id = redis.call('XADD', KEYS[1], 'MAXLEN', limit, '*', 'doc', document)
redis.call('PEXPIRE', KEYS[1], ttlMs)
redis.call('PUBLISH', channel, event)
return id
`;
