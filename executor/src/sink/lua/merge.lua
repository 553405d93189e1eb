-- Merges one partition's slots of some KOLs of one platform into their hashes and the ranking.
--
-- A hash beside the ranking holds for each KOL one packed slot for each source partition that saw it. A
-- merge puts the partition's slot in place of the one it had; the KOL's hash and the ranking follow from all
-- slots together. So a merge can be repeated, and merges of different partitions can come in any order.
--
-- Nearly every KOL has one slot: then the values that the executor computed are written as they are.
-- Only where there are several does this script add up and score, by the same formula; and because a
-- flush may come late, by the newest market measure that any of the partitions knew. Before the slots lies
-- the one by which the KOL was scored, also where the executor did it: another partition's slot, or its
-- removal, may come later and know an older one.
--
-- A key of a wrong type is named in the answer and left alone, and so is the KOL that it belongs to: it is
-- neither in a hash nor in the ranking, but its slots are kept. Everybody else is merged.
--
-- A new generation does not write into the ranking that is shown beside an older one: it takes its
-- place, at once or when all of it is there, and the older one is kept aside for a day, until
-- executors have removed the orphans.
--
-- A platform that nobody is left of is forgotten: it leaves the list of platforms, and its generation record
-- expires after a day. It is on the list again with the first KOL that comes.
--
-- Before these lines stand errors.lua, owner.lua, score.lua and, before those, lines that are generated
-- (sink/merge_call.rs) from the tables that the executor sends by (kol_common::scoring::schema and ::slot). They
-- name, in capitals, the keys (KEY_…) and arguments (ARG_…) of the call, the layout of a slot and the places of
-- its numbers (SLOT_…), the places of the values that are sent for each KOL (AT_…), and have three functions:
-- constants_of names the constants of the score, texts_of makes the values of a KOL from numbers, hash_of lists
-- names and values of its hash.
--
-- KEYS     KEY_…; from FIRST_HASH on the hashes of n KOLs (none to show a ranking only), then their legacy
--          hashes, if any
-- ARGV     ARG_…; from FIRST on PER_KOL values for each KOL: name, slot (empty = remove it) and AT_…
-- Answers  a list: 'OK', 'NOFENCE' (Redis lost the record, or went back to an older one), 'FENCED' (a newer
--          owner, a newer flush or a newer generation of slots), or 'BADKEY'; then the keys of a wrong type, whose
--          KOLs were left out (all of the platform, if it is a key of the platform)

local ASIDE_MS = 86400000

local own_market

-- The market measure of this call, as it lies packed before the slots.
local function market_of_call()
    local c = scoring()
    own_market = own_market or struct.pack('<dd', c.market_version, c.market)
    return own_market
end

-- The market measure to score several slots by: the newest that was ever used for this KOL. Also packed.
local function newest_market(c, field)
    local version, mean = struct.unpack('<dd', field, 2)
    if version > c.market_version then
        return mean, string.sub(field, 2, SLOTS_HEADER)
    end
    return c.market, market_of_call()
end

-- Whether packed slots have the layout that this script knows; others are overwritten.
local function readable(field)
    return string.byte(field) == SLOTS_VERSION and #field > SLOTS_HEADER
        and (#field - SLOTS_HEADER) % SLOT_BYTES == 0
end

-- Slots as versions before this one kept them in the KOL's hash, in today's form; nil where there are none.
local function from_old(slots, market)
    if not slots or string.byte(slots) ~= OLD_SLOTS_VERSION or #slots == 1
        or (#slots - 1) % SLOT_BYTES ~= 0 then
        return nil
    end
    local g, version, mean = string.match(market or '', '^(%d+) (%d+) (%S+)$')
    local first = {struct.unpack(SLOT, slots, 2)}
    if tonumber(g) ~= first[SLOT_GENERATION] then
        version, mean = 0, 0
    end
    return string.char(SLOTS_VERSION) .. struct.pack('<dd', tonumber(version), tonumber(mean))
        .. string.sub(slots, 2)
end

-- The slots of other partitions among packed ones, of this generation: as packed bytes and read.
-- Slots of an older generation are ignored; one of a newer generation makes this merge void.
local function others(field, generation, partition)
    local packed, slots = {}, {}
    for at = SLOTS_HEADER + 1, #field, SLOT_BYTES do
        local x = {struct.unpack(SLOT, field, at)}
        if x[SLOT_GENERATION] > generation then
            return nil
        end
        if x[SLOT_GENERATION] == generation and string.sub(field, at, at + 3) ~= partition then
            packed[#packed + 1] = string.sub(field, at, at + SLOT_BYTES - 1)
            slots[#slots + 1] = x
        end
    end
    return packed, slots
end

local answer = {'OK'}

-- A key of a wrong type: the answer names it.
local function bad(key)
    if answer[1] == 'OK' then answer[1] = 'BADKEY' end
    answer[#answer + 1] = key
end

local function refused(reply, key)
    local is = is_wrong_type(reply)
    if is then bad(key) end
    return is
end

-- Whether a key is of a type, or is not there.
local function fits(key, kind)
    local is = redis.call('TYPE', key).ok
    if is ~= kind and is ~= 'none' then
        bad(key)
        return false
    end
    return true
end

local fence = redis.call('HMGET', KEY_FENCE, 'gen', 'ae', 'begun', 'done', 'ran')

-- The ranking that is shown gives way; one that still lies aside is not lost.
local function set_aside()
    if redis.call('EXISTS', KEY_RANKING) == 1 then
        if redis.call('EXISTS', KEY_BEFORE) == 1 then
            redis.call('ZUNIONSTORE', KEY_BEFORE, 2, KEY_BEFORE, KEY_RANKING)
            redis.call('UNLINK', KEY_RANKING)
        else
            redis.call('RENAME', KEY_RANKING, KEY_BEFORE)
        end
        redis.call('PEXPIRE', KEY_BEFORE, ASIDE_MS)
    end
end

local recorded = false

-- Which generation the ranking is of from now on. The platform goes with it: whoever comes later must
-- know that there is a ranking of it.
local function record_generation(record)
    recorded = true
    redis.call('SET', KEY_RECORD, record)
    refused(redis.pcall('SADD', KEY_PLATFORMS, ARG_PLATFORM), KEY_PLATFORMS)
end

-- Whether nothing is left of the platform, by any generation.
local function is_empty()
    for _, key in ipairs({KEY_SLOTS, KEY_RANKING, KEY_NEXT, KEY_BEFORE}) do
        if redis.call('EXISTS', key) == 1 then return false end
    end
    return true
end

local function forget_platform()
    refused(redis.pcall('SREM', KEY_PLATFORMS, ARG_PLATFORM), KEY_PLATFORMS)
    -- One of another type is somebody else's.
    if redis.call('TYPE', KEY_RECORD).ok == 'string' then redis.call('PEXPIRE', KEY_RECORD, ASIDE_MS) end
end

-- The ranking that this generation writes; nil when a newer one is shown or will be, or a key of the
-- platform is of a wrong type: the answer says which.
local function ranking_of(generation)
    local record = redis.pcall('GET', KEY_RECORD)
    if refused(record, KEY_RECORD) then
        return nil
    end
    if not record and tonumber(fence[4] or 0) > 0 and redis.call('EXISTS', KEY_SLOTS) == 1 then
        -- There is one of each platform that this system writes, from before the first slot on: Redis lost it
        -- alone, and the ranking is ours. Without slots nobody here has written the platform: what is shown is
        -- another system's, and this is our first merge of it.
        record = ARG_GENERATION .. (redis.call('EXISTS', KEY_NEXT) == 1 and ' next' or ' live')
        record_generation(record)
    end
    local held, shown = string.match(record or '', '^(%d+) (%a+)$')
    held = tonumber(held or 0)
    if held > generation then
        answer = {'FENCED'}
        return nil
    end
    if held == generation and (shown == 'live' or ARG_SHOWN == 'next') then
        return shown == 'live' and KEY_RANKING or KEY_NEXT
    end
    if not (fits(KEY_RANKING, 'zset') and fits(KEY_NEXT, 'zset') and fits(KEY_BEFORE, 'zset')) then
        return nil
    end
    if held < generation then
        redis.call('UNLINK', KEY_NEXT)
    end
    -- Where nothing is shown, nothing has to be waited for.
    if ARG_SHOWN == 'next' and redis.call('EXISTS', KEY_RANKING) == 1 then
        record_generation(ARG_GENERATION .. ' next')
        return KEY_NEXT
    end
    set_aside()
    if redis.call('EXISTS', KEY_NEXT) == 1 then
        redis.call('RENAME', KEY_NEXT, KEY_RANKING)
    end
    record_generation(ARG_GENERATION .. ' live')
    return KEY_RANKING
end

local generation, partition = tonumber(ARG_GENERATION), ARG_PARTITION
local count, ttl = tonumber(ARG_COUNT), tonumber(ARG_TTL)
local legacy = #KEYS >= FIRST_HASH + count
local own_tag = partition .. struct.pack('<I4', generation)
local version = string.char(SLOTS_VERSION)
-- Of the ranking that this generation writes; its key comes as the second.
local ranked, gone = {'ZADD'}, {'ZREM'}
local kept, dropped = {'HSET', KEY_SLOTS}, {'HDEL', KEY_SLOTS}

-- The packed slots that are there, by place in the call; nil when they cannot be read.
local function known_slots()
    if count == 0 then
        return {}
    end
    local read = {'HMGET', KEY_SLOTS}
    for i = 1, count do
        read[i + 2] = ARGV[FIRST + (i - 1) * PER_KOL]
    end
    local known = redis.pcall(unpack(read))
    if refused(known, KEY_SLOTS) then
        return nil
    end
    return known
end

-- The packed slots of a KOL in its hash, where a version before this one left them.
local function old_slots(key)
    local old = redis.pcall('HMGET', key, OLD_SLOTS, OLD_MARKET)
    if is_wrong_type(old) or not old[1] then
        return nil, false
    end
    return from_old(old[1], old[2]), true
end

-- Writes what readers read of a KOL: hash and ranking entry, or neither.
local function show(i, key, kol, f, o, old)
    local written = redis.pcall('HSET', key, hash_of(kol, ARG_PLATFORM, f, o, ARG_NOW, ARG_GENERATION))
    if refused(written, key) then
        gone[#gone + 1] = kol
        return
    end
    if old then redis.call('HDEL', key, OLD_SLOTS, OLD_MARKET) end
    if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
    if legacy then
        local rounded, copy = f[o + AT_TRENDING_SCORE], KEYS[FIRST_HASH - 1 + count + i]
        refused(redis.pcall('HSET', copy, 'username', kol,
            'platform', ARG_PLATFORM, 'trending_score', rounded,
            'label', f[o + AT_TRENDING_LABEL], 'score', rounded, 'updated_at', ARG_NOW), copy)
    end
    ranked[#ranked + 1] = f[o + AT_RANK]
    ranked[#ranked + 1] = kol
end

-- Takes a KOL out. A key of a wrong type is somebody else's, and stays.
local function hide(i, key, kol)
    for _, hash in ipairs({key, legacy and KEYS[FIRST_HASH - 1 + count + i] or nil}) do
        if redis.call('TYPE', hash).ok == 'hash' then redis.call('DEL', hash) end
    end
    gone[#gone + 1] = kol
    dropped[#dropped + 1] = kol
end

-- Puts the partition's slot of a KOL in place of the one it had, beside the packed ones that are there.
local function merge(i, field)
    local key, at = KEYS[FIRST_HASH - 1 + i], FIRST + (i - 1) * PER_KOL
    local kol, slot = ARGV[at], ARGV[at + 1]
    local old = false
    if not field then field, old = old_slots(key) end
    if field and not readable(field) then field = nil end
    local packed, slots
    local single = not field or (#field == SLOTS_HEADER + SLOT_BYTES
        and string.sub(field, SLOTS_HEADER + 1, SLOTS_HEADER + 8) == own_tag)
    if not single then
        packed, slots = others(field, generation, partition)
        single = packed and #packed == 0
    end
    if single and slot == '' then
        hide(i, key, kol)
    elseif single or packed then
        local f, market
        if single then
            field, market = slot, market_of_call()
        else
            if slot ~= '' then
                packed[#packed + 1] = slot
                slots[#slots + 1] = {struct.unpack(SLOT, slot)}
            end
            local mean
            mean, market = newest_market(scoring(), field)
            field = table.concat(packed)
            f = score(scoring(), add_up(scoring(), slots), mean)
        end
        kept[#kept + 1] = kol
        kept[#kept + 1] = version .. market .. field
        show(i, key, kol, f or ARGV, f and 0 or at + 1, old)
    else
        answer[1] = 'FENCED'
    end
end

-- All KOLs of the call; their writes to what they share come together, at the end.
local function merge_all(ranking)
    ranked[2], gone[2] = ranking, ranking
    local known = known_slots()
    if not known then
        return
    end
    for i = 1, count do
        merge(i, known[i])
    end
    if #kept > 2 then redis.call(unpack(kept)) end
    if #dropped > 2 then redis.call(unpack(dropped)) end
    if #ranked > 2 and refused(redis.pcall(unpack(ranked)), ranking) then gone = {} end
    if #gone > 2 then refused(redis.pcall(unpack(gone)), ranking) end
end

local state = owner_state(fence, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH, ARG_SEQUENCE})
if state ~= 'OK' then
    return {state}
end
local was_empty = is_empty()
-- Of an empty platform there is no ranking to show.
local ranking = (count > 0 or not was_empty) and ranking_of(generation)
if ranking then merge_all(ranking) end
if answer[1] == 'FENCED' then
    return answer
elseif is_empty() then
    forget_platform()
elseif ranking and was_empty and not recorded then
    record_generation(ARG_GENERATION .. (ranking == KEY_NEXT and ' next' or ' live'))
end
-- The merges of a flush run in their order. One whose place is not the next follows one that failed, or comes
-- again: it says nothing of the flush.
if tonumber(fence[5] or 0) == tonumber(ARG_PLACE) - 1 then
    redis.call('HSET', KEY_FENCE, 'ran', ARG_PLACE)
end
return answer
