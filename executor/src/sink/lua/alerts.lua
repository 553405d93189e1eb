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
-- ARG_RULES  a line for each rule of the platform: its name, the place of a field among those that are read, 'in' or 'above',
--            words or a number, and the silence in ms, with tabs between
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
        name = name, field = tonumber(field), words = how == 'in' and ' ' .. what .. ' ',
        least = tonumber(what), silence = tonumber(silence), noted = 0,
    }
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

local function holds(rule, values)
    local value = values[rule.field]
    if rule.words then
        return string.find(rule.words, ' ' .. value .. ' ', 1, true) ~= nil
    end
    local number = tonumber(value)
    return number ~= nil and number > rule.least
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

local function raise(rule, kol, values)
    rule.noted = rule.noted + 1
    local alert = {
        rule = rule.name, platform = ARG_PLATFORM, kol = kol, window_end = values[WINDOW_END], raised_at = ARG_NOW,
        trending_label = values[2], trending_score = values[3], velocity = values[4], personal_growth = values[5],
        event_count = values[6], total_engagement = values[7],
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
        local is = holds(rule, values)
        -- Nearly everybody is known of nothing, and no rule is true of them.
        if is or text then
            known, now = known or read_known(text), now or ms_of(values[WINDOW_END]) or 0
            local last = known[rule.name]
            local rests = last and (now <= last.at or now < last.at + rule.silence)
            if is and not (last and last.was) then
                changed = true
                if rests then
                    silenced = silenced + 1
                    last.was = true
                else
                    raise(rule, kol, values)
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
