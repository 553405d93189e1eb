-- Reads what is there of some KOLs of one platform, all of it at one moment: the partition judges whether it is what it
-- was sent (delivery/readback.rs). Nothing is repaired here: what differs is sent again, as merges and by the end of a
-- flush. Only the list of platforms is put right, since no merge would.
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives,
-- errors.lua and owner.lua. Behind those keys stand the hashes of the KOLs (from FIRST_HASH), then their legacy hashes,
-- if any; behind those arguments the names of the KOLs (from FIRST). Two words are put in place of the names of the fields
-- of a hash and of a legacy hash.
--
-- Where the ranking has more members than there are slots, a piece of the ranking is read, too, from a place that counts on
-- round and round.
--
-- Answers  {word, whole, keys, stamps, more, strange, scores, slots, hashes, copies}: 'OK', 'NOFENCE' or 'FENCED'; 1 if the
--          ranking or all slots are gone; the platform's keys of a wrong type; 1 if last_update or last_event is gone; 1 if
--          the ranking has more members than there are slots, and those of the piece that have none; then of each
--          KOL its score, its packed slots, the values of its hash and of its legacy hash, as one text with a zero byte
--          between two of them: empty where one is not there, false where the key is of a wrong type. These lists are
--          empty where they could not be read, and that of legacy hashes where the platform has none
local fence = redis.call('HMGET', KEY_FENCE, 'gen', 'ae', 'done')
local state = owner_state(fence, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH})
if state == 'OK' and tonumber(fence[3] or 0) < tonumber(ARG_CONFIRMED) then
    -- Redis went back to an older state: everything is sent again, not what differs.
    state = 'NOFENCE'
end
if state ~= 'OK' then
    return {state, 0, {}, 0, 0, {}, {}, {}, {}, {}}
end

-- Of a stranger: a longer one stays, so that an answer stays small.
local LONGEST_NAME = 1024

local keys = {}
local whole = 0
local there = redis.call('EXISTS', KEY_LAST_UPDATE) + redis.call('EXISTS', KEY_LAST_EVENT)
local stamps = there < 2 and 1 or 0

-- The type of a key that should be of this one: 'none' and the right one are well.
local function type_of(key, kind)
    local is = redis.call('TYPE', key).ok
    if is ~= kind and is ~= 'none' then
        keys[#keys + 1] = key
    end
    return is
end

local count = tonumber(ARG_COUNT)
local ranking = KEY_RANKING
local record = type_of(KEY_RECORD, 'string')
if record == 'none' then
    whole = 1
elseif record == 'string' then
    local generation, shown = string.match(redis.call('GET', KEY_RECORD), '^(%d+) (%a+)$')
    if generation ~= ARG_GENERATION then
        -- The ranking is about to change hands: merges decide, unless one of these keys hinders them.
        type_of(KEY_RANKING, 'zset')
        type_of(KEY_NEXT, 'zset')
        type_of(KEY_BEFORE, 'zset')
        return {'OK', 0, keys, stamps, 0, {}, {}, {}, {}, {}}
    end
    if shown == 'next' then ranking = KEY_NEXT end
end
local is = type_of(KEY_PLATFORMS, 'set')
if is == 'set' or is == 'none' then
    redis.call('SADD', KEY_PLATFORMS, ARG_PLATFORM)
end

local command = {'', ''}
for i = 1, count do
    command[i + 2] = ARGV[FIRST - 1 + i]
end
local function all_of(name, key, kind)
    local there = type_of(key, kind)
    if there == 'none' then whole = 1 end
    if there ~= kind or count == 0 then
        return nil
    end
    command[1], command[2] = name, key
    return redis.call(unpack(command))
end
local scores = all_of('ZMSCORE', ranking, 'zset') or {}
local slots = all_of('HMGET', KEY_SLOTS, 'hash') or {}

local concat, send = table.concat, redis.pcall

-- What was read of a hash as one text: that is converted faster than many.
local function values(reply)
    if is_wrong_type(reply) then
        return false
    end
    -- It fails where a value is not there.
    local whole, text = pcall(concat, reply, '\0')
    return whole and text or ''
end

local legacy = #KEYS >= FIRST_HASH + count
local hashes, copies = {}, {}
for i = 1, count do
    hashes[i] = values(send('HMGET', KEYS[FIRST_HASH - 1 + i], HASH_FIELDS))
    if legacy then
        copies[i] = values(send('HMGET', KEYS[FIRST_HASH - 1 + count + i], LEGACY_FIELDS))
    end
end

-- Members of the ranking without slots: whoever was sent got both in one step.
local more, strange = 0, {}
if whole == 0 and #keys == 0 then
    local known = redis.call('HLEN', KEY_SLOTS)
    if #redis.call('ZREVRANGE', ranking, known, known) > 0 then
        more = 1
        local from = tonumber(ARG_PLACE) % (known + 1)
        local piece = redis.call('ZREVRANGE', ranking, from, from + tonumber(ARG_PIECE) - 1)
        local have = redis.call('HMGET', KEY_SLOTS, unpack(piece))
        for i = 1, #piece do
            if not have[i] and #piece[i] <= LONGEST_NAME then strange[#strange + 1] = piece[i] end
        end
    end
end
return {'OK', whole, keys, stamps, more, strange, scores, slots, hashes, copies}
