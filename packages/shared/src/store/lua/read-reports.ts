// Decides: how the reports after a known one are read, each with its age.
// Must not know: what a report says.

/**
 * Keys: reports. Arguments: the id of the last one known ('' for none). Returns: id, age in ms and document of each
 * report after it, oldest first, one after another. Atomic: the reports and the clock by which their ages are counted.
 * A report is dated by its id, which is a time of the server.
 */
export const readReports = `
local after = ARGV[1] == '' and '-' or '(' .. ARGV[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local answer = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], after, '+')) do
  answer[#answer + 1] = entry[1]
  answer[#answer + 1] = math.max(0, now - tonumber(string.match(entry[1], '^%d+')))
  answer[#answer + 1] = entry[2][2]
end
return answer
`;
