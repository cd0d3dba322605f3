-- One round of wrk: what to send, and a last line that a script can read:
--
--   round: REQUESTS SECONDS P50 P99 FAILED      (milliseconds; failed are answers of 400 and above, and socket errors)
--
--   wrk … -s round.lua URL                                          GET of that address
--   wrk … -s round.lua URL -- METHOD TOKEN BODY PREFIX SUFFIX FILE  for each id in FILE the path PREFIX id SUFFIX, in random order

local number = 0

function setup(thread)
  thread:set("seed", number)
  number = number + 1
end

function init(args)
  if #args < 6 then return end
  local method, token, body, prefix, suffix, file = unpack(args)
  local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json", ["Host"] = wrk.headers["Host"] }
  local requests = {}
  for id in io.lines(file) do
    requests[#requests + 1] = wrk.format(method, prefix .. id .. suffix, headers, body)
  end
  -- Not the same ids in both threads at the same time.
  math.randomseed(os.time() + 7919 * seed)
  request = function() return requests[math.random(#requests)] end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("round: %d %.3f %.3f %.3f %d\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
