-- Renews the last sign of life of a job that owns its keys: executors do, also while their master is away.
--
-- KEYS     the owner records of all templates that the job writes
-- ARGV     generation, store of the job's master; the longest silence (ms); when the ownership was confirmed last
--          (ms; 0 if never)
-- Answers  {'FREE', the time now (ms)}, or {'HELD', the time now, the place of a record of another store in KEYS,
--          its fields as own.lua lists them}. Records that are not there, and those that do not count (see own.lua),
--          are left to the master: then the answer is 'FREE' with a time of 0, which confirms nothing
local FIELDS = {'store', 'cluster', 'host', 'job', 'job_id', 'generation', 'since', 'seen'}
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local time = string.format('%.0f', now)
local generation, silence, confirmed = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local own = {}
for at, key in ipairs(KEYS) do
    local record = redis.call('HMGET', key, unpack(FIELDS))
    if record[1] == ARGV[2] then
        own[#own + 1] = key
    elseif record[1] then
        local is_silent = now - (tonumber(record[8] or '') or 0) > silence
        local is_past = (tonumber(record[7] or '') or 0) < confirmed
            and (tonumber(record[6] or '') or 0) <= generation
        if not is_silent and not is_past then
            local all = {'HELD', time, tostring(at)}
            for i = 1, #FIELDS do all[#all + 1] = record[i] or '' end
            return all
        end
    end
end
for _, key in ipairs(own) do redis.call('HSET', key, 'seen', time) end
return {'FREE', #own == #KEYS and time or '0'}
