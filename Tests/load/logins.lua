-- A flood of logins: the lines of FILE in turn as bodies, again and again (of one name one login is in work at a time), a tenth of a second after the last answer, and a last line that a script can read:
--
--   logins: SUCCEEDED busy: N limited: N other: N slowest: MILLISECONDS      (503, 429, and everything else, broken connections too)
--
--   wrk … -s logins.lua URL -- FILE

local threads = {}
local bodies, last = {}, 0

function setup(thread)
  thread:set("succeeded", 0)
  thread:set("busy", 0)
  thread:set("limited", 0)
  thread:set("other", 0)
  threads[#threads + 1] = thread
end

function init(args)
  for line in io.lines(args[1]) do bodies[#bodies + 1] = line end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  last = last % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[last])
end

-- Milliseconds before a connection's next request.
function delay() return 100 end

function response(status)
  if status == 200 then
    succeeded = succeeded + 1
  elseif status == 503 then
    busy = busy + 1
  elseif status == 429 then
    limited = limited + 1
  else
    other = other + 1
  end
end

function done(summary, latency)
  local count = { succeeded = 0, busy = 0, limited = 0, other = 0 }
  for _, thread in ipairs(threads) do
    for name in pairs(count) do count[name] = count[name] + thread:get(name) end
  end
  local errors = summary.errors
  io.write(string.format("logins: %d busy: %d limited: %d other: %d slowest: %.0f\n", count.succeeded, count.busy, count.limited,
    count.other + errors.connect + errors.read + errors.write + errors.timeout, latency.max / 1e3))
end
