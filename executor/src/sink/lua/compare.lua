-- Compares what a partition sent of some KOLs of one platform with what is there. Nothing is repaired here:
-- what is lost is sent again, as merges and by the end of a flush. Only the list of platforms is put right, since
-- no merge would.
-- Before these lines stand errors.lua and owner.lua.
--
-- KEYS     fence record, ranking, generation record, next ranking, ranking before, platforms, slots, last_update,
--          last_event; then the hashes of n KOLs, then their legacy hashes, if any
-- ARGV     generation, assignment epoch, tag of the partition's slots (8 bytes), platform, n, fields of a
--          hash, bytes before the first slot, bytes of a slot; then the names of the KOLs
-- Answers  {word, whole, keys, wrong, lost, stamps}: 'OK', 'NOFENCE' or 'FENCED'; 1 if the ranking or all slots are
--          gone; the platform's keys of a wrong type; the places (from 1) of KOLs with a key of a wrong type,
--          and of those that are not there or not whole; 1 if last_update or last_event is gone
local FENCE, RANKING, RECORD, NEXT, BEFORE, PLATFORMS, SLOTS = 1, 2, 3, 4, 5, 6, 7
local LAST_UPDATE, LAST_EVENT, FIRST_HASH = 8, 9, 10
local FIRST_NAME = 9
local fence = redis.call('HMGET', KEYS[FENCE], 'gen', 'ae')
local state = owner_state(fence, {ARGV[1], ARGV[2]})
if state ~= 'OK' then
    return {state, 0, {}, {}, {}, 0}
end

local keys, wrong, lost = {}, {}, {}
local whole = 0
local there = redis.call('EXISTS', KEYS[LAST_UPDATE]) + redis.call('EXISTS', KEYS[LAST_EVENT])
local stamps = there < 2 and 1 or 0

-- The type of a key that should be of this one: 'none' and the right one are well.
local function type_of(key, kind)
    local is = redis.call('TYPE', key).ok
    if is ~= kind and is ~= 'none' then
        keys[#keys + 1] = key
    end
    return is
end

local count, fields = tonumber(ARGV[5]), tonumber(ARGV[6])
local header, bytes = tonumber(ARGV[7]), tonumber(ARGV[8])
local ranking = KEYS[RANKING]
local record = type_of(KEYS[RECORD], 'string')
if record == 'none' then
    whole = 1
elseif record == 'string' then
    local generation, shown = string.match(redis.call('GET', KEYS[RECORD]), '^(%d+) (%a+)$')
    if generation ~= ARGV[1] then
        -- The ranking is about to change hands: merges decide, unless one of these keys hinders them.
        type_of(KEYS[RANKING], 'zset')
        type_of(KEYS[NEXT], 'zset')
        type_of(KEYS[BEFORE], 'zset')
        return {'OK', 0, keys, {}, {}, stamps}
    end
    if shown == 'next' then ranking = KEYS[NEXT] end
end
local is = type_of(KEYS[PLATFORMS], 'set')
if is == 'set' or is == 'none' then
    redis.call('SADD', KEYS[PLATFORMS], ARGV[4])
end

local command = {'', ''}
for i = 1, count do
    command[i + 2] = ARGV[FIRST_NAME - 1 + i]
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
local slots = all_of('HMGET', KEYS[SLOTS], 'hash')

local function has_slot(packed)
    if not packed then
        return false
    end
    for at = header + 1, #packed, bytes do
        if string.sub(packed, at, at + 7) == ARGV[3] then
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
