// Decides: which ranking is accepted: one under the current lease that is newer than the stored one.
// Must not know: what a ranking says.

/**
 * Keys: lease, ranking. Arguments: holder, epoch, seq, maxAgeMs, document, channel, event.
 * Returns: 1, or 0 when fenced.
 * Atomic: both tests, the ranking with its expiry, and the event. A publisher that slept through the end of its
 * lease is refused here and nowhere else, and readers never see a document with another one's token.
 */
export const publish = `
local holder, epoch, seq, maxAgeMs = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local document, channel, event = ARGV[5], ARGV[6], ARGV[7]
if redis.call('GET', KEYS[1]) ~= holder .. '|' .. string.format('%.0f', epoch) then return 0 end
local stored = redis.call('HMGET', KEYS[2], 'epoch', 'seq')
local storedEpoch, storedSeq = tonumber(stored[1] or ''), tonumber(stored[2] or '')
if storedEpoch and storedSeq then
  local newer = epoch > storedEpoch or (epoch == storedEpoch and seq > storedSeq)
  if not newer then return 0 end
end
redis.call('HSET', KEYS[2],
  'epoch', string.format('%.0f', epoch), 'seq', string.format('%.0f', seq), 'doc', document)
redis.call('PEXPIRE', KEYS[2], maxAgeMs)
redis.call('PUBLISH', channel, event)
return 1
`;
