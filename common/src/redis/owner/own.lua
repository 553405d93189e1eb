-- Takes the keys of a job, renews its ownership of them, or only looks whether they can be taken.
--
-- Beside each key template that jobs write lies a hash that names the owner: the master's store, cluster and
-- host, the job with its generation, when it took the keys and its last sign of life, by the clock of Redis. A
-- record that another store wrote counts while it is not silent for too long; one of the same store is
-- respected if the master says that its job comes first. A command that is executed late or a second time
-- cannot take keys from another store whose job is alive, unless it names exactly that job.
--
-- A job that owned its keys finds a record of another store that is older than that when Redis was restored from
-- an older dump: nobody has taken the keys since. Such a record does not count, unless its generation is newer.
--
-- Before these lines stands records.lua.
--
-- KEYS     see records.lua
-- ARGV     generation; 'look' or 'own'; store, cluster, host, job name, job id; the longest silence (ms); when the
--          ownership was confirmed last, by an answer of this script or of renew.lua (ms; 0 if never); then
--          'first:JOB_ID' for each job of this store that comes first, and 'from:STORE/JOB_ID' for each owner
--          whose records are taken over although it is alive
-- Answers  'FREE' or 'HELD', the time now (ms), then, if there is another owner (of 'FREE': one that was
--          silent or is displaced), the place of its record in KEYS and its fields as FIELDS lists them
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local store, job_id, silence = ARGV[3], ARGV[7], tonumber(ARGV[8])
local generation, confirmed = tonumber(ARGV[1]), tonumber(ARGV[9])
local said = {}
for i = 10, #ARGV do said[ARGV[i]] = true end

local function answer(word, at, record)
    local all = {word, string.format('%.0f', now)}
    if record then
        all[#all + 1] = tostring(at)
        for i = 1, #FIELDS do all[#all + 1] = record[i] or '' end
    end
    return all
end

local records, other, other_at = {}, nil, nil
for at = 1, RECORDS do
    local record = read(at)
    records[at] = record
    if record[1] then
        local is_own = record[1] == store
        local is_past = not is_own and (tonumber(record[7] or '') or 0) < confirmed
            and (tonumber(record[6] or '') or 0) <= generation
        local held
        if is_past then
            held = false
        elseif is_own then
            held = said['first:' .. (record[5] or '')]
        else
            local silent = now - (tonumber(record[8] or '') or 0) > silence
            held = not silent and not said['from:' .. record[1] .. '/' .. (record[5] or '')]
        end
        if held then return answer('HELD', at, record) end
        if not is_own and not is_past and not other then other, other_at = record, at end
    end
end
if ARGV[2] == 'own' then
    local time = string.format('%.0f', now)
    for at, record in ipairs(records) do
        local since = time
        if record[1] == store and record[5] == job_id and record[7] then since = record[7] end
        write(at, {store, ARGV[4], ARGV[5], ARGV[6], job_id, ARGV[1], since, time})
    end
end
return answer('FREE', other_at, other)
