-- Renews the last sign of life of a job that owns its keys: executors do, also while their master is away.
--
-- KEYS     the owner records of all templates that the job writes
-- ARGV     generation (not looked at), store of the job's master
-- Answers  {'FREE', the time now (ms)}, or {'HELD', the time now, the place of a record of another store in KEYS,
--          its fields as own.lua lists them}; a record that is not there is left to the master
local FIELDS = {'store', 'cluster', 'host', 'job', 'job_id', 'generation', 'since', 'seen'}
local t = redis.call('TIME')
local time = string.format('%.0f', tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000))
local own = {}
for at, key in ipairs(KEYS) do
    local record = redis.call('HMGET', key, unpack(FIELDS))
    if record[1] == ARGV[2] then
        own[#own + 1] = key
    elseif record[1] then
        local all = {'HELD', time, tostring(at)}
        for i = 1, #FIELDS do all[#all + 1] = record[i] or '' end
        return all
    end
end
for _, key in ipairs(own) do redis.call('HSET', key, 'seen', time) end
return {'FREE', time}
