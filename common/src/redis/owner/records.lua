-- Owner records. Each lies there twice, as a record and as its copy: where only one of them was deleted, the owner
-- is still known. KEYS are the records of all templates that a job writes, then the copies in the same order.
local FIELDS = {'store', 'cluster', 'host', 'job', 'job_id', 'generation', 'since', 'seen'}
local RECORDS = #KEYS / 2

-- The values of FIELDS for a template; the first is false where neither record nor copy is there.
local function read(at)
    local record = redis.call('HMGET', KEYS[at], unpack(FIELDS))
    local copy = redis.call('HMGET', KEYS[RECORDS + at], unpack(FIELDS))
    return not record[1] and copy[1] and copy or record
end

local function write(at, values)
    local flat = {}
    for i = 1, #FIELDS do
        flat[2 * i - 1], flat[2 * i] = FIELDS[i], values[i] or ''
    end
    redis.call('HSET', KEYS[at], unpack(flat))
    redis.call('HSET', KEYS[RECORDS + at], unpack(flat))
end

