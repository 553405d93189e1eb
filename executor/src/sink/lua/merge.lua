-- Merges one partition's slots of some KOLs of one platform into their hashes and the ranking.
--
-- A KOL's hash holds in `_slots` one slot for each source partition that saw it (layout: see the Rust
-- module kol_common::scoring::slot). A merge puts the partition's slot in place of the one it had;
-- hash and ranking follow from all slots together. So a merge can be repeated, and merges of
-- different partitions can come in any order.
--
-- Nearly every KOL has one slot: then the values that the executor computed are written as they are.
-- Only where there are several does this script add up and score, by the same formula; and because a
-- flush may come late, by the newest market measure that any of the partitions knew. `_market` says by
-- which one a hash was scored, also where the executor did it: another partition's slot, or its removal,
-- may come later and know an older one.
--
-- A new generation does not write into the ranking that is shown beside an older one: it takes its
-- place, at once or when all of it is there, and the older one is kept aside for a day, until
-- executors have swept what nobody knows any more.
--
-- KEYS[1]  fence record          KEYS[2]  ranking of the platform
-- KEYS[3]  which generation the ranking is of: "N live", or "N next" when that one is not shown yet
-- KEYS[4]  the ranking that will be shown     KEYS[5]  the ranking that was shown before
-- KEYS[6]  set of all platforms that have a ranking
-- KEYS[7..6+n]  hashes of n KOLs (none to show a ranking only)
-- KEYS[7+n..6+2n]  their legacy hashes, if any
-- ARGV[1..10]  generation, assignment epoch, sequence, partition (4 bytes), platform, time now (ISO),
--          n, time to live of hashes in ms (0 = none), scoring constants (numbers with blanks between),
--          "live" or "next": whether this generation may be shown
-- then for each KOL 14 values: name, slot (58 bytes; empty = remove it), score, trending_score, label,
--          velocity, momentum, personal_growth, market_position, raw_score, baseline, event_count,
--          total_engagement, window_end
-- Answers  'OK', 'NOFENCE' (Redis lost the record), 'FENCED' (a newer owner, a newer flush or a newer
--          generation of slots), or 'BADKEY ' and the key of a hash that is something else: that KOL
--          was left out

local SLOT = '<I4I4I5dI4dI4ddI5'
local SLOT_BYTES, PER_KOL, FIRST, FIRST_HASH = 58, 14, 11, 7
local ASIDE_MS = 86400000

local constants

-- The scoring constants, read once a call.
local function scoring()
    if not constants then
        local c = {}
        for number in string.gmatch(ARGV[9], '%S+') do
            c[#c + 1] = tonumber(number)
        end
        constants = {
            slide_ms = c[1], panes = c[2], minutes = c[3], ln_keep = c[4], market = c[5],
            delta = c[6] == 1, spark = c[7] == 1,
            w_personal = c[8], w_market = c[9], w_momentum = c[10],
            floor_baseline = c[11], floor_market = c[12], floor_velocity = c[13],
            steepness = c[14], midpoint = c[15], momentum_min = c[16], momentum_max = c[17],
            viral = c[18], hot = c[19], warm = c[20], normal = c[21], market_version = c[22],
        }
    end
    return constants
end

-- ISO 8601 of milliseconds since the epoch, by the civil calendar (days to year, month, day as in
-- the proleptic Gregorian rules: eras of 400 years, years that start in March).
local function iso(ms)
    local days = math.floor(ms / 86400000)
    local rest = ms - days * 86400000
    local z = days + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
        - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local day = doy - math.floor((153 * mp + 2) / 5) + 1
    local month = mp < 10 and mp + 3 or mp - 9
    local year = yoe + era * 400 + (month <= 2 and 1 or 0)
    local seconds = math.floor(rest / 1000)
    return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
        math.floor(seconds / 3600), math.floor(seconds / 60) % 60, seconds % 60, rest % 1000)
end

local function velocity(c, engagement_e6, events)
    local rate = engagement_e6 / 1e6 / c.minutes
    if c.delta then
        return rate * (1 + 0.1 * math.log(1 + events))
    end
    return rate
end

-- Adds slots up: the newest window end wins; a slot that is behind counts as it stands, its baseline
-- decayed by the distance.
local function add_up(c, slots)
    local s = {t = 0, e = 0, n = 0, pe = 0, pn = 0, be = 0, bn = 0, first = math.huge}
    for i = 1, #slots do
        s.t = math.max(s.t, slots[i][3])
    end
    for i = 1, #slots do
        local x = slots[i]
        local decay = math.exp(c.ln_keep * (s.t - x[3]))
        s.e, s.n = s.e + x[4], s.n + x[5]
        s.pe, s.pn = s.pe + x[6], s.pn + x[7]
        s.be, s.bn = s.be + x[8] * decay, s.bn + x[9] * decay
        s.first = math.min(s.first, x[10])
    end
    return s
end

local function clamp(x, low, high)
    return math.max(low, math.min(high, x))
end

local function label(c, score)
    if score >= c.viral then return 'Viral' end
    if score >= c.hot then return 'Hot' end
    if score >= c.warm then return 'Warm' end
    if score >= c.normal then return 'Normal' end
    return 'Cold'
end

-- The 12 values that the executor sends for a KOL with one slot, computed from several.
local function score(c, s, market)
    local v, pv = velocity(c, s.e, s.n), velocity(c, s.pe, s.pn)
    local baseline, own = nil, 0
    local momentum = clamp((v - pv) / math.max(pv, c.floor_velocity), c.momentum_min, c.momentum_max)
    local history = math.max(s.t - 2 * c.panes, 0) - s.first
    if c.spark then
        market, baseline, own, momentum = 100, 100, 100, 0
    elseif history >= 3 * c.panes then
        local factor = c.panes / (1 - math.exp(c.ln_keep * history))
        baseline = velocity(c, factor * s.be, factor * s.bn)
        own = baseline
    else
        baseline = market
    end
    local growth = v / math.max(baseline, c.floor_baseline)
    local position = v / math.max(market, c.floor_market)
    local raw = c.w_personal * growth + c.w_market * position + c.w_momentum * (1 + momentum)
    local total = 100 / (1 + math.exp(-c.steepness * (raw - c.midpoint)))
    local rounded = string.format('%.2f', total)
    return {
        string.format('%.17g', total), rounded, label(c, tonumber(rounded)),
        string.format('%.2f', v), string.format('%.2f', momentum), string.format('%.2f', growth),
        string.format('%.2f', position), string.format('%.4f', raw), string.format('%.2f', own),
        string.format('%.0f', s.n), string.format('%.0f', s.e / 1e6), iso(s.t * c.slide_ms),
    }
end

local own_market

-- The market measure of this call, as `_market` keeps it.
local function market_of_call(generation)
    local c = scoring()
    own_market = own_market
        or string.format('%.0f %.0f %.17g', generation, c.market_version, c.market)
    return own_market
end

-- The market measure to score several slots by: the newest that was ever used for this KOL. Also as
-- `_market` keeps it.
local function newest_market(c, key, generation)
    local known = redis.call('HGET', key, '_market')
    if known then
        local g, version, mean = string.match(known, '^(%d+) (%d+) (%S+)$')
        if tonumber(g) == generation and tonumber(version) > c.market_version then
            return tonumber(mean), known
        end
    end
    return c.market, market_of_call(generation)
end

-- Whether a `_slots` field has the layout that this script knows; another is written anew.
local function readable(field)
    return string.byte(field) == 1 and (#field - 1) % SLOT_BYTES == 0
end

-- The slots of other partitions in a `_slots` field, of this generation: as packed bytes and read.
-- Slots of an older generation are ignored; one of a newer generation makes this merge void.
local function others(field, generation, partition)
    local packed, slots = {}, {}
    for at = 2, #field, SLOT_BYTES do
        local x = {struct.unpack(SLOT, field, at)}
        if x[2] > generation then
            return nil
        end
        if x[2] == generation and string.sub(field, at, at + 3) ~= partition then
            packed[#packed + 1] = string.sub(field, at, at + SLOT_BYTES - 1)
            slots[#slots + 1] = x
        end
    end
    return packed, slots
end

local fence = redis.call('HMGET', KEYS[1], 'gen', 'ae', 'begun', 'done')

local function fence_state(f)
    if not f[1] then
        return 'NOFENCE'
    end
    if f[1] ~= ARGV[1] or f[2] ~= ARGV[2] or f[3] ~= ARGV[3] then
        return 'FENCED'
    end
    return 'OK'
end

-- The ranking that is shown gives way; one that still lies aside is not lost.
local function set_aside()
    if redis.call('EXISTS', KEYS[2]) == 1 then
        if redis.call('EXISTS', KEYS[5]) == 1 then
            redis.call('ZUNIONSTORE', KEYS[5], 2, KEYS[5], KEYS[2])
            redis.call('UNLINK', KEYS[2])
        else
            redis.call('RENAME', KEYS[2], KEYS[5])
        end
        redis.call('PEXPIRE', KEYS[5], ASIDE_MS)
    end
end

-- Which generation the ranking is of from now on. The platform goes with it: whoever comes later must
-- know that there is a ranking of it.
local function record_generation(record)
    redis.call('SET', KEYS[3], record)
    redis.call('SADD', KEYS[6], ARGV[5])
end

-- The ranking that this generation writes; nil when a newer one is shown or will be.
local function ranking_of(generation)
    local record = redis.call('GET', KEYS[3])
    if not record and tonumber(fence[4] or 0) > 0 then
        -- It was there at this partition's last flush: Redis lost it alone, and the ranking is ours.
        record = ARGV[1] .. (redis.call('EXISTS', KEYS[4]) == 1 and ' next' or ' live')
        record_generation(record)
    end
    local held, shown = string.match(record or '', '^(%d+) (%a+)$')
    held = tonumber(held or 0)
    if held > generation then
        return nil
    end
    if held == generation and (shown == 'live' or ARGV[10] == 'next') then
        return shown == 'live' and KEYS[2] or KEYS[4]
    end
    if held < generation then
        redis.call('UNLINK', KEYS[4])
    end
    -- Where nothing is shown, nothing has to be waited for.
    if ARGV[10] == 'next' and redis.call('EXISTS', KEYS[2]) == 1 then
        record_generation(ARGV[1] .. ' next')
        return KEYS[4]
    end
    set_aside()
    if redis.call('EXISTS', KEYS[4]) == 1 then
        redis.call('RENAME', KEYS[4], KEYS[2])
    end
    record_generation(ARGV[1] .. ' live')
    return KEYS[2]
end

local state = fence_state(fence)
if state ~= 'OK' then
    return state
end
local ranking = ranking_of(tonumber(ARGV[1]))
if not ranking then
    return 'FENCED'
end

local generation, partition, platform, now = tonumber(ARGV[1]), ARGV[4], ARGV[5], ARGV[6]
local count, ttl = tonumber(ARGV[7]), tonumber(ARGV[8])
local legacy = #KEYS >= FIRST_HASH + count
local own_tag = partition .. struct.pack('<I4', generation)
local version = string.char(1)
local ranked, gone = {'ZADD', ranking}, {'ZREM', ranking}
local answer = 'OK'

for i = 1, count do
    local key, at = KEYS[FIRST_HASH - 1 + i], FIRST + (i - 1) * PER_KOL
    local kol, slot = ARGV[at], ARGV[at + 1]
    local field = redis.pcall('HGET', key, '_slots')
    local bad = type(field) == 'table'
    if bad or not field or not readable(field) then field = nil end
    local packed, slots
    local single = not field or (#field == 1 + SLOT_BYTES and string.sub(field, 2, 9) == own_tag)
    if not single then
        packed, slots = others(field, generation, partition)
        single = packed and #packed == 0
    end
    if bad then
        answer = 'BADKEY ' .. key
    elseif single and slot == '' then
        redis.call('DEL', key)
        if legacy then redis.call('DEL', KEYS[FIRST_HASH - 1 + count + i]) end
        gone[#gone + 1] = kol
    elseif single or packed then
        local f, market
        if single then
            field, market = version .. slot, market_of_call(generation)
        else
            if slot ~= '' then
                packed[#packed + 1] = slot
                slots[#slots + 1] = {struct.unpack(SLOT, slot)}
            end
            field = version .. table.concat(packed)
            local mean
            mean, market = newest_market(scoring(), key, generation)
            f = score(scoring(), add_up(scoring(), slots), mean)
        end
        local o = f and 0 or at + 1
        f = f or ARGV
        redis.call('HSET', key, 'kol_id', kol, 'platform', platform,
            'trending_score', f[o + 2], 'trending_label', f[o + 3], 'velocity', f[o + 4],
            'momentum', f[o + 5], 'personal_growth', f[o + 6], 'market_position', f[o + 7],
            'raw_score', f[o + 8], 'baseline', f[o + 9], 'event_count', f[o + 10],
            'total_engagement', f[o + 11], 'window_end', f[o + 12], 'updated_at', now,
            'generation', ARGV[1], '_slots', field, '_market', market)
        if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
        if legacy then
            redis.call('HSET', KEYS[FIRST_HASH - 1 + count + i], 'username', kol, 'platform', platform,
                'trending_score', f[o + 2], 'label', f[o + 3], 'score', f[o + 2],
                'updated_at', now)
        end
        ranked[#ranked + 1] = f[o + 1]
        ranked[#ranked + 1] = kol
    else
        answer = 'FENCED'
    end
end
if #ranked > 2 then redis.call(unpack(ranked)) end
if #gone > 2 then redis.call(unpack(gone)) end
return answer
