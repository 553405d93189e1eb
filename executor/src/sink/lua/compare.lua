-- Compares what a partition sent of some KOLs of one platform with what is there. Nothing is repaired here:
-- what is lost is sent again, as merges and by the end of a flush. Only the list of platforms is put right, since
-- no merge would.
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives,
-- errors.lua and owner.lua. Behind those keys stand the hashes of the KOLs (from FIRST_HASH), then their legacy hashes,
-- if any; behind those arguments the names of the KOLs (from FIRST).
--
-- Answers  {word, whole, keys, wrong, lost, stamps}: 'OK', 'NOFENCE' or 'FENCED'; 1 if the ranking or all slots are
--          gone; the platform's keys of a wrong type; the places (from 1) of KOLs with a key of a wrong type,
--          and of those that are not there or not whole; 1 if last_update or last_event is gone
local fence = redis.call('HMGET', KEY_FENCE, 'gen', 'ae')
local state = owner_state(fence, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH})
if state ~= 'OK' then
    return {state, 0, {}, {}, {}, 0}
end

local keys, wrong, lost = {}, {}, {}
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

local count, fields = tonumber(ARG_COUNT), tonumber(ARG_HASH_FIELDS)
local header, bytes = tonumber(ARG_SLOTS_HEADER), tonumber(ARG_SLOT_BYTES)
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
        return {'OK', 0, keys, {}, {}, stamps}
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
local scores = all_of('ZMSCORE', ranking, 'zset')
local slots = all_of('HMGET', KEY_SLOTS, 'hash')

local function has_slot(packed)
    if not packed then
        return false
    end
    for at = header + 1, #packed, bytes do
        if string.sub(packed, at, at + 7) == ARG_TAG then
            return true
        end
    end
    return false
end

local legacy = #KEYS >= FIRST_HASH + count
for i = 1, count do
    local there = redis.pcall('HLEN', KEYS[FIRST_HASH - 1 + i])
    local copy = legacy and redis.pcall('HLEN', KEYS[FIRST_HASH - 1 + count + i]) or 1
    if is_wrong_type(there) or is_wrong_type(copy) then
        wrong[#wrong + 1] = i
    elseif there < fields or copy == 0 or (scores and not scores[i])
        or (slots and not has_slot(slots[i])) then
        lost[#lost + 1] = i
    end
end
return {'OK', whole, keys, wrong, lost, stamps}
