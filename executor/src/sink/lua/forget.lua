-- Removes hashes of KOLs of one platform that only an older generation knew and that nothing names any more: no
-- ranking, and no slots. Whoever sends this has looked for them; here all of it is looked at once more, at one moment.
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives,
-- errors.lua and owner.lua. Behind those keys stand the hashes of the KOLs (from FIRST_HASH), then their legacy hashes,
-- if any; behind those arguments the names of the KOLs (from FIRST). Two words are put in place of the names of the
-- fields that say whose a hash and a legacy hash is.
--
-- It is a part of a flush, as a merge is. A hash that is not of this KOL or not of an older generation stays, and so do
-- all where a key of the platform is of a wrong type.
--
-- Answers  'OK', 'NOFENCE' (Redis lost the record, or went back to an older one) or 'FENCED'
local fence = redis.call('HMGET', KEY_FENCE, 'gen', 'ae', 'begun', 'ran')
local state = owner_state(fence, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH, ARG_SEQUENCE})
if state ~= 'OK' then
    return state
end

local count = tonumber(ARG_COUNT)
local legacy = #KEYS >= FIRST_HASH + count
local command = {'', ''}
for i = 1, count do
    command[i + 2] = ARGV[FIRST - 1 + i]
end

-- Which of the KOLs a key of the platform names; nil where it is of a wrong type.
local function named_by(name, key)
    command[1], command[2] = name, key
    local found = redis.pcall(unpack(command))
    return not is_wrong_type(found) and found or nil
end

-- What a hash has in these fields; nothing where its key is of a wrong type.
local function values(key, ...)
    local found = redis.pcall('HMGET', key, ...)
    return is_wrong_type(found) and {} or found
end

local function forget(i)
    local key, kol = KEYS[FIRST_HASH - 1 + i], ARGV[FIRST - 1 + i]
    local of = values(key, IDENTITY)
    local generation = tonumber(of[3])
    if of[1] ~= kol or of[2] ~= ARG_PLATFORM or not generation or generation >= tonumber(ARG_GENERATION) then
        return
    end
    redis.call('DEL', key)
    local copy = legacy and KEYS[FIRST_HASH - 1 + count + i]
    local whose = copy and values(copy, LEGACY_IDENTITY) or {}
    if whose[1] == kol and whose[2] == ARG_PLATFORM then redis.call('DEL', copy) end
end

local slots = named_by('HMGET', KEY_SLOTS)
local shown = named_by('ZMSCORE', KEY_RANKING)
local next_one = named_by('ZMSCORE', KEY_NEXT)
local before = named_by('ZMSCORE', KEY_BEFORE)
if slots and shown and next_one and before then
    for i = 1, count do
        if not (slots[i] or shown[i] or next_one[i] or before[i]) then forget(i) end
    end
end
-- As a merge does: its place in the flush.
if tonumber(fence[4] or 0) == tonumber(ARG_PLACE) - 1 then
    redis.call('HSET', KEY_FENCE, 'ran', ARG_PLACE)
end
return 'OK'
