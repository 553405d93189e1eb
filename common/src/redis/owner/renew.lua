-- Renews the last sign of life of a job that owns its keys: executors do, also while their master is away. Records
-- that Redis lost, or has as an older dump has them (see own.lua), are written again.
--
-- KEYS     the owner records of all templates that the job writes
-- ARGV     generation; store, cluster and host of the job's master, job name, job id; the longest silence (ms); when
--          the ownership was confirmed last (ms; 0 if never)
-- Answers  {'FREE', the time now (ms)}, or {'HELD', the time now, the place of a record of another store in KEYS,
--          its fields as own.lua lists them}: then nothing is written. A newer record that is silent for too long is
--          left to the master: then the answer is 'FREE' with a time of 0, which confirms nothing
local FIELDS = {'store', 'cluster', 'host', 'job', 'job_id', 'generation', 'since', 'seen'}
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local time = string.format('%.0f', now)
local generation, silence, confirmed = tonumber(ARGV[1]), tonumber(ARGV[7]), tonumber(ARGV[8])
local own, lost, confirms = {}, {}, true
for at, key in ipairs(KEYS) do
    local record = redis.call('HMGET', key, unpack(FIELDS))
    local is_past = (tonumber(record[7] or '') or 0) < confirmed
        and (tonumber(record[6] or '') or 0) <= generation
    if record[1] == ARGV[2] then
        own[#own + 1] = key
    elseif not record[1] or is_past then
        lost[#lost + 1] = key
    elseif now - (tonumber(record[8] or '') or 0) > silence then
        confirms = false
    else
        local all = {'HELD', time, tostring(at)}
        for i = 1, #FIELDS do all[#all + 1] = record[i] or '' end
        return all
    end
end
for _, key in ipairs(own) do redis.call('HSET', key, 'seen', time) end
for _, key in ipairs(lost) do
    redis.call('HSET', key, 'store', ARGV[2], 'cluster', ARGV[3], 'host', ARGV[4], 'job', ARGV[5],
        'job_id', ARGV[6], 'generation', ARGV[1], 'since', time, 'seen', time)
end
return {'FREE', confirms and time or '0'}
