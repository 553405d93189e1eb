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
-- Of a KOL that Redis has as its partition sent it last, and which no other partition has a slot of, only what changed
-- is written: what it was is in the slot that is there. Whether the hash is still there, its fields that were not say.
--
-- Before these lines stand errors.lua, owner.lua, score.lua and, before those, lines that are generated
-- (sink/merge_call.rs) from the tables that the executor sends by (kol_common::scoring::schema and ::slot). They
-- name, in capitals, the keys (KEY_…) and arguments (ARG_…) of the call, the layout of a slot and the places of
-- its numbers (SLOT_…), the layouts of what is sent for each KOL (KOL, SELDOM), and have two functions: constants_of
-- names the constants of the score, texts_of makes the texts of a KOL from numbers. Four words are put in place of
-- lists by the same tables, so that the texts of a KOL need no table and no call: OFTEN_TEXTS names those that change
-- with every event, SELDOM_TEXTS the others, and OFTEN_FIELDS and SELDOM_FIELDS are the fields of a hash with them.
--
-- KEYS     KEY_…; from FIRST_HASH on the hashes of n KOLs (none to show a ranking only), then their legacy
--          hashes, if any
-- ARGV     ARG_…; from FIRST on the names of the KOLs. ARG_KINDS has a byte for each KOL: REMOVE (its slot), PUT (a
--          slot), or CHANGE (a slot in place of one that this owner has put there). ARG_KOLS has for each that is not
--          removed, as KOL says: the slot behind its tag in three parts (the window end, what is counted up to it, and
--          the baseline), the rank, the texts that change with every event, and as one those that follow from the
--          first and the last part of the slot
-- Answers  a list: 'OK', 'NOFENCE' (Redis lost the record, or went back to an older one), 'FENCED' (a newer
--          owner, a newer flush or a newer generation of slots), or 'BADKEY'; then the keys of a wrong type, whose
--          KOLs were left out (all of the platform, if it is a key of the platform)

local ASIDE_MS = 86400000

-- The market measure to score several slots by: the newest that was ever used for this KOL. Also packed.
local function newest_market(c, field)
    local version, mean = struct.unpack('<dd', field, 2)
    if version > c.market_version then
        return mean, string.sub(field, 2, SLOTS_HEADER)
    end
    return c.market, ARG_MARKET
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

local generation, partition = tonumber(ARG_GENERATION), string.sub(ARG_TAG, 1, 4)
local count, ttl = tonumber(ARG_COUNT), tonumber(ARG_TTL)
local legacy = #KEYS >= FIRST_HASH + count
local version = string.char(SLOTS_VERSION)
-- What lies packed of a KOL whose only slot is this partition's, before what is sent of it.
local own_head = version .. ARG_MARKET .. ARG_TAG
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
        read[i + 2] = ARGV[FIRST - 1 + i]
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

local kept_count, ranked_count = 2, 2

-- Keeps the packed slots of a KOL.
local function keep(i, field)
    kept[kept_count + 1], kept[kept_count + 2] = ARGV[FIRST - 1 + i], field
    kept_count = kept_count + 2
end

-- Beside the hash of a KOL, of which Redis said this when it was written, all else that readers read: without its hash
-- it is not in the ranking, and without a rank it stays as it is there.
local function show(i, written, rank, score, label)
    local key, kol = KEYS[FIRST_HASH - 1 + i], ARGV[FIRST - 1 + i]
    if refused(written, key) then
        gone[#gone + 1] = kol
        return
    end
    if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
    if legacy then
        local copy = KEYS[FIRST_HASH - 1 + count + i]
        refused(redis.pcall('HSET', copy, 'username', kol, 'platform', ARG_PLATFORM, 'trending_score', score,
            'label', label, 'score', score, 'updated_at', ARG_NOW), copy)
    end
    if rank then
        ranked[ranked_count + 1], ranked[ranked_count + 2] = rank, kol
        ranked_count = ranked_count + 2
    end
end

-- Takes a KOL out. A key of a wrong type is somebody else's, and stays.
local function hide(i)
    local key, kol = KEYS[FIRST_HASH - 1 + i], ARGV[FIRST - 1 + i]
    for _, hash in ipairs({key, legacy and KEYS[FIRST_HASH - 1 + count + i] or nil}) do
        if redis.call('TYPE', hash).ok == 'hash' then redis.call('DEL', hash) end
    end
    gone[#gone + 1] = kol
    dropped[#dropped + 1] = kol
end

-- Shows a KOL of which other partitions have slots as well, by all of them: `slot` is this partition's, nil if it is
-- removed.
local function show_sum(i, field, packed, slots, slot)
    if slot then
        packed[#packed + 1] = slot
        slots[#slots + 1] = {struct.unpack(SLOT, slot)}
    end
    local mean, market = newest_market(scoring(), field)
    keep(i, version .. market .. table.concat(packed))
    local rank, SELDOM_TEXTS, OFTEN_TEXTS = score(scoring(), add_up(scoring(), slots), mean)
    local kol = ARGV[FIRST - 1 + i]
    local written = redis.pcall('HSET', KEYS[FIRST_HASH - 1 + i], OFTEN_FIELDS, 'updated_at', ARG_NOW, SELDOM_FIELDS,
        'kol_id', kol, 'platform', ARG_PLATFORM, 'generation', ARG_GENERATION)
    show(i, written, rank, trending_score, trending_label)
end

-- Merges a KOL of which there are slots that are not this partition's of this generation; false if none of them counts.
local function merge_slots(i, field, slot)
    local key, old = KEYS[FIRST_HASH - 1 + i], false
    if not field then field, old = old_slots(key) end
    if not field or not readable(field) then
        return false
    end
    local packed, slots = others(field, generation, partition)
    if not packed then
        answer[1] = 'FENCED'
        return true
    end
    if old then redis.call('HDEL', key, OLD_SLOTS, OLD_MARKET) end
    if #packed > 0 then show_sum(i, field, packed, slots, slot) end
    return #packed > 0
end

-- What is called for each KOL, without looking its name up each time.
local byte, sub, unpack_packed, send = string.byte, string.sub, struct.unpack, redis.pcall
-- Hashes and rankings are all that is written.
local plain = ttl == 0 and not legacy

-- Whether the packed slots are one slot of this partition and generation.
local function is_own(field)
    return field and #field == SLOTS_HEADER + SLOT_BYTES and byte(field) == SLOTS_VERSION
        and sub(field, TAG_FROM, TAG_TO) == ARG_TAG
end

-- Puts the partition's slot of a KOL in place of the one it had, beside the packed ones that are there. Answers where
-- the next KOL stands in ARG_KOLS. This is where the time of a merge goes: there are few calls in it.
local function put(i, known, kind, at)
    local window_end_packed, counted, baseline_packed, rank, OFTEN_TEXTS, seldom, after
        = unpack_packed(KOL, ARG_KOLS, at)
    local field = own_head .. window_end_packed .. counted .. baseline_packed
    local own = is_own(known)
    if not own and merge_slots(i, known, sub(field, SLOTS_HEADER + 1)) then
        return after
    end
    local key, kol, new = KEYS[FIRST_HASH - 1 + i], ARGV[FIRST - 1 + i], 1
    if own and kind == CHANGE then
        if field == known then
            -- Sent again: nothing has changed but the time of it.
            new, rank = send('HSET', key, 'updated_at', ARG_NOW), nil
        elseif sub(known, WINDOW_END_FROM, WINDOW_END_TO) == window_end_packed
            and sub(known, BASELINE_FROM) == baseline_packed then
            new = send('HSET', key, OFTEN_FIELDS, 'updated_at', ARG_NOW)
        end
    end
    -- A hash of which a field was not there was lost.
    if new ~= 0 and type(new) == 'number' then
        local SELDOM_TEXTS = unpack_packed(SELDOM, seldom)
        new = send('HSET', key, OFTEN_FIELDS, 'updated_at', ARG_NOW, SELDOM_FIELDS,
            'kol_id', kol, 'platform', ARG_PLATFORM, 'generation', ARG_GENERATION)
    end
    kept[kept_count + 1], kept[kept_count + 2] = kol, field
    kept_count = kept_count + 2
    if plain and rank and type(new) == 'number' then
        ranked[ranked_count + 1], ranked[ranked_count + 2] = rank, kol
        ranked_count = ranked_count + 2
    else
        show(i, new, rank, trending_score, trending_label)
    end
    return after
end

-- Takes the partition's slot of a KOL out.
local function remove(i, known)
    if is_own(known) or not merge_slots(i, known) then
        hide(i)
    end
end

-- All KOLs of the call; their writes to what they share come together, at the end.
local function merge_all(ranking)
    ranked[2], gone[2] = ranking, ranking
    local known = known_slots()
    if not known then
        return
    end
    local kinds, at = {byte(ARG_KINDS, 1, count)}, 1
    for i = 1, count do
        if kinds[i] == REMOVE then
            remove(i, known[i])
        else
            at = put(i, known[i], kinds[i], at)
        end
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
