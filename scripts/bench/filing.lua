-- Files requests against INCIDENT as the holder of TOKEN.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.body = '{"incident_id":"' .. os.getenv("INCIDENT") .. '","severity":"b","subject":"Mail is down",'
  .. '"description":"Nobody in the office can open a mailbox since nine."}'

local refused = 0
function response(status)
  if status ~= 201 then refused = refused + 1 end
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function done()
  local all = 0
  for _, thread in ipairs(threads) do all = all + (thread:get("refused") or 0) end
  if all > 0 then io.write("refused: " .. all .. "\n") end
end
