-- Looks which rules are true of some KOLs of one platform, by what their hashes show, and notes alerts for those of which one
-- has become true. It follows the merges of these KOLs in their flush; so it sees all slots of a KOL, whichever partition they
-- are of, and what it notes is as durable as what readers see.
--
-- A hash beside the ranking knows for each KOL and rule whether the rule was true when it was looked at last, and of which
-- window end an alert was noted last. So an alert is noted once, whoever sends the KOL again: an owner after a crash, another
-- partition, a job that reads again what it has read. A KOL without a hash has left the ranking: it is forgotten.
--
-- Nothing here depends on who owns the partition: what is noted follows from what readers are shown.
--
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives, and errors.lua. Behind
-- those keys stand the hashes of the KOLs (from FIRST_HASH), behind those arguments their names (from FIRST). One word is put
-- in place of the fields of a hash that are read.
--
-- A rule about ranks looks at the ranking as it is shown, and rests while that is another generation's. Places gained are counted
-- against the newest snapshot that is as old as the rule says, and not much older.
--
-- ARG_RULES  a line for each rule of the platform: its name, the place of a field among those that are read (0: none), what is
--            looked for, and the silence in ms, with tabs between. Looked for is 'in' and words, 'above' and a number, 'rank' and
--            the last place, or 'rises' and three numbers: places gained, since when, and how much older a snapshot may be (ms)
-- Answers    {'OK', 'rule=noted …', silenced, lost to the topic, lost to the webhook}; where keys are of a wrong type 'BADKEY' in place of
--            'OK', and the keys behind the numbers

local WINDOW_END = 1

local function ms_of(iso)
    local y, m, d, hours, minutes, seconds = string.match(iso, '^(%d+)%-(%d+)%-(%d+)T(%d+):(%d+):([%d.]+)Z$')
    if not y then
        return nil
    end
    y, m, d = tonumber(y), tonumber(m), tonumber(d)
    -- Days by the civil calendar: eras of 400 years, years that begin in March.
    if m <= 2 then y = y - 1 end
    local era = math.floor(y / 400)
    local yoe = y - era * 400
    local doy = math.floor((153 * (m + (m > 2 and -3 or 9)) + 2) / 5) + d - 1
    local days = era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
    local rest = (tonumber(hours) * 60 + tonumber(minutes)) * 60 + tonumber(seconds)
    return math.floor(days * 86400000 + rest * 1000 + 0.5)
end

local rules = {}
for name, field, how, what, silence in string.gmatch(ARG_RULES, '([^\t]*)\t(%d+)\t(%a+)\t([^\t]*)\t(%d+)\n') do
    rules[#rules + 1] = {
        name = name, field = tonumber(field), how = how, words = ' ' .. what .. ' ',
        number = tonumber(what), silence = tonumber(silence), noted = 0,
    }
    if how == 'rises' then
        local gained, within, slack = string.match(what, '^(%d+) (%d+) (%d+)$')
        rules[#rules].gained, rules[#rules].within = tonumber(gained), tonumber(within)
        rules[#rules].slack = tonumber(slack)
    end
end

local count, most = tonumber(ARG_COUNT), tonumber(ARG_MOST)
-- Field and text of an alert, in bytes, are below this, unless its creator has a long name: of those a tenth may wait.
local LONG = 1024
local silenced, lost = 0, {0, 0}
local keys = {}

local function refused(reply, key)
    local is = is_wrong_type(reply)
    if is then keys[#keys + 1] = key end
    return is
end

-- How far down the ranking a rule can look: nothing is true of anybody behind that.
local deepest = 0
for i = 1, #rules do
    local rule = rules[i]
    local last = rule.how == 'rank' and rule.number or rule.how == 'rises' and ARG_PLACES + 1 - rule.gained or 0
    deepest = math.max(deepest, last)
end

-- Places in the ranking from 1, by KOL; false: it is not this generation's, or cannot be read. Nil: it was not read.
local places = nil

-- The place of a KOL; false: it has none that a rule looks at; nil: that is not known.
local function place_of(kol)
    if places == nil then
        local record = redis.pcall('GET', KEY_RECORD)
        local is_shown = not refused(record, KEY_RECORD) and record == ARG_GENERATION .. ' live'
        local first = is_shown and redis.pcall('ZREVRANGE', KEY_RANKING, 0, deepest - 1)
        places = false
        if first and not refused(first, KEY_RANKING) then
            places = {}
            for place, name in ipairs(first) do places[name] = place end
        end
    end
    if places then
        return places[kol] or false
    end
    return nil
end

-- Places by KOL, how many there are, and whether not all had room; false: what is there is no snapshot.
local function read_snapshot(text)
    local is, moment = pcall(function()
        local snapshot = cjson.decode(text)
        local by_kol = {}
        for place, creator in ipairs(snapshot.creators) do by_kol[creator[1]] = place end
        return {places = by_kol, count = #snapshot.creators, cut = snapshot.cut}
    end)
    return is and moment
end

-- Rankings as they were, by the time that places are counted over, and names and times (ms) of all that are kept, the newest first.
local moments, kept_names = {}, nil

-- The ranking as it was when the rule counts from; false where none is kept of then.
local function ranking_before(rule)
    local moment = moments[rule.within]
    if moment == nil then
        kept_names = kept_names or redis.pcall('ZREVRANGE', KEY_HISTORY, 0, -1, 'WITHSCORES')
        moment = false
        local wanted = ARG_CLOCK - rule.within
        for i = 2, refused(kept_names, KEY_HISTORY) and 0 or #kept_names, 2 do
            local at = tonumber(kept_names[i])
            if at <= wanted then
                local text = at >= wanted - rule.slack and redis.pcall('HGET', KEY_SNAPSHOTS, kept_names[i - 1])
                moment = text and not refused(text, KEY_SNAPSHOTS) and read_snapshot(text)
                break
            end
        end
        moments[rule.within] = moment
    end
    return moment
end

-- Whether the KOL has gained enough, and the place before, if it had one.
local function rises(rule, kol, place)
    -- Nobody comes from further down than behind the last place that is kept.
    if ARG_CLOCK == '' or place + rule.gained > ARG_PLACES + 1 then
        return false
    end
    local moment = ranking_before(rule)
    if not moment then
        return false
    end
    local before = moment.places[kol]
    if before then
        return before - place >= rule.gained, before
    end
    -- One that is not there may not have fitted.
    return not moment.cut and moment.count + 1 - place >= rule.gained
end

-- Whether a rule is true; nil: nobody can say. Of a rule about ranks also the place, and the one before.
local function holds(rule, kol, values)
    if rule.how == 'rank' or rule.how == 'rises' then
        local place = place_of(kol)
        if not place then
            return place
        elseif rule.how == 'rank' then
            return place <= rule.number, place
        end
        local is, before = rises(rule, kol, place)
        return is, place, before
    end
    local value = values[rule.field]
    if rule.how == 'in' then
        return string.find(rule.words, ' ' .. value .. ' ', 1, true) ~= nil
    end
    local number = tonumber(value)
    return number ~= nil and number > rule.number
end

-- What is known of a KOL, by rule: whether it was true, and of which window end it was noted last (ms).
local function read_known(text)
    local known = {}
    for name, was, at in string.gmatch(text or '', '(%S+) ([01]) (%d+)\n') do
        known[name] = {was = was == '1', at = tonumber(at)}
    end
    return known
end

-- Notes an alert for one destination, if there is room. Whoever notes the same one again changes nothing.
local function note(place, pending, field, text)
    if pending == '' then
        return
    end
    local room = #field + #text > LONG and most / 10 or most
    local waiting = redis.pcall('HLEN', pending)
    if refused(waiting, pending) or waiting >= room then
        lost[place] = lost[place] + 1
        return
    end
    redis.call('HSET', pending, field, text)
    redis.call('PEXPIRE', pending, ARG_KEEP)
end

local function raise(rule, kol, values, place, before)
    rule.noted = rule.noted + 1
    local alert = {
        rule = rule.name, platform = ARG_PLATFORM, kol = kol, window_end = values[WINDOW_END], raised_at = ARG_NOW,
        trending_label = values[2], trending_score = values[3], velocity = values[4], personal_growth = values[5],
        event_count = values[6], total_engagement = values[7],
        rank = place, rank_before = before,
    }
    -- A name may have any character, a rule has no colon.
    local field = rule.name .. ':' .. values[WINDOW_END] .. ':' .. ARG_PLATFORM .. ':' .. kol
    local text = cjson.encode(alert)
    note(1, ARG_TOPIC == '1' and KEY_TOPIC or '', field, text)
    note(2, ARG_WEBHOOK == '1' and KEY_WEBHOOK or '', field, text)
end

-- Looks at a KOL. Answers what is to be known of it from now on: nil if that is what was known, '' if it is nothing.
local function look(kol, values, text)
    local known, changed, now = nil, false, nil
    for i = 1, #rules do
        local rule = rules[i]
        local is, place, before = holds(rule, kol, values)
        -- Nearly everybody is known of nothing, and no rule is true of them.
        if is ~= nil and (is or text) then
            known, now = known or read_known(text), now or ms_of(values[WINDOW_END]) or 0
            local last = known[rule.name]
            local rests = last and (now <= last.at or now < last.at + rule.silence)
            if is and not (last and last.was) then
                changed = true
                if rests then
                    silenced = silenced + 1
                    last.was = true
                else
                    raise(rule, kol, values, place, before)
                    known[rule.name] = {was = true, at = now}
                end
            elseif last and not is and (last.was or not rests) then
                changed = true
                last.was = false
                if not rests then known[rule.name] = nil end
            end
        end
    end
    if not changed then
        return nil
    end
    -- Of rules that there are: one that is gone is forgotten.
    local lines = {}
    for i = 1, #rules do
        local name = rules[i].name
        local last = known[name]
        if last then
            lines[#lines + 1] = string.format('%s %d %.0f\n', name, last.was and 1 or 0, last.at)
        end
    end
    return table.concat(lines)
end

local read = {'HMGET', KEY_KNOWN}
for i = 1, count do
    read[i + 2] = ARGV[FIRST - 1 + i]
end
local texts = redis.pcall(unpack(read))
local kept, dropped = {'HSET', KEY_KNOWN}, {'HDEL', KEY_KNOWN}
if not refused(texts, KEY_KNOWN) then
    for i = 1, count do
        local kol = ARGV[FIRST - 1 + i]
        local values = redis.pcall('HMGET', KEYS[FIRST_HASH - 1 + i], HASH_FIELDS)
        if is_wrong_type(values) then
            -- The merge has named it.
            values = {}
        end
        local there = true
        for field = 1, HASH_COUNT do there = there and values[field] end
        local after = ''
        if there then after = look(kol, values, texts[i]) end
        if after == '' then
            if texts[i] then dropped[#dropped + 1] = kol end
        elseif after then
            kept[#kept + 1] = kol
            kept[#kept + 1] = after
        end
    end
end
if #kept > 2 then
    redis.call(unpack(kept))
    redis.call('PEXPIRE', KEY_KNOWN, ARG_REMEMBER)
end
if #dropped > 2 then redis.call(unpack(dropped)) end
local noted = {}
for i = 1, #rules do
    if rules[i].noted > 0 then noted[#noted + 1] = rules[i].name .. '=' .. rules[i].noted end
end
local answer = {#keys > 0 and 'BADKEY' or 'OK', table.concat(noted, ' '), tostring(silenced), tostring(lost[1]), tostring(lost[2])}
for i = 1, #keys do answer[#answer + 1] = keys[i] end
return answer
