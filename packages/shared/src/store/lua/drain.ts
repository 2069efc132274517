// Decides: which word about an upstream's drain is kept: the one with the highest revision.
// Must not know: what it says.

/**
 * Keys: drains. Arguments: upstream, revision, document, channel, event.
 * Returns: 1 when this word is the stored one, 0 when another of the same or a higher revision is.
 * Atomic: the test, the word and the event. Said twice it does nothing, so that it may be repeated. The key never expires: a drain holds until it is lifted.
 */
export const drain = `
local upstream, revision, document, channel, event = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local stored = redis.call('HGET', KEYS[1], upstream)
local value = string.format('%.0f', revision) .. '|' .. document
if stored == value then return 1 end
local before = tonumber(stored and string.match(stored, '^%d+') or '')
if before and before >= revision then return 0 end
redis.call('HSET', KEYS[1], upstream, value)
redis.call('PUBLISH', channel, event)
return 1
`;
