-- Renews the last sign of life of a job that owns its keys: executors do, also while their master is away. Records
-- that Redis lost, or has as an older dump has them (see own.lua), are written again.
--
-- Before these lines stands records.lua.
--
-- KEYS     see records.lua
-- ARGV     generation; store, cluster and host of the job's master, job name, job id; the longest silence (ms); when
--          the ownership was confirmed last (ms; 0 if never)
-- Answers  {'FREE', the time now (ms)}, or {'HELD', the time now, the place of a record of another store in KEYS,
--          its fields as own.lua lists them}: then nothing is written. A newer record that is silent for too long is
--          left to the master: then the answer is 'FREE' with a time of 0, which confirms nothing
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local time = string.format('%.0f', now)
local generation, silence, confirmed = tonumber(ARGV[1]), tonumber(ARGV[7]), tonumber(ARGV[8])
local renewed, confirms = {}, true
for at = 1, RECORDS do
    local record = read(at)
    local is_past = (tonumber(record[7] or '') or 0) < confirmed
        and (tonumber(record[6] or '') or 0) <= generation
    if record[1] == ARGV[2] then
        record[8] = time
        renewed[at] = record
    elseif not record[1] or is_past then
        renewed[at] = {ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[1], time, time}
    elseif now - (tonumber(record[8] or '') or 0) > silence then
        confirms = false
    else
        local all = {'HELD', time, tostring(at)}
        for i = 1, #FIELDS do all[#all + 1] = record[i] or '' end
        return all
    end
end
for at, record in pairs(renewed) do write(at, record) end
return {'FREE', confirms and time or '0'}
