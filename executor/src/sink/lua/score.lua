-- What the formulas of all profiles have in common (kol_common::scoring), for a KOL with several slots. Stands before
-- biggest.lua or rising.lua, behind the lines that name constants, arguments and numbers of a slot.

local constants

-- The scoring constants, read once a call.
local function scoring()
    if not constants then
        local numbers = {}
        for number in string.gmatch(ARG_CONSTANTS, '%S+') do
            numbers[#numbers + 1] = tonumber(number)
        end
        constants = constants_of(numbers)
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
    if c.is_delta == 1 then
        return rate * (1 + 0.1 * math.log(1 + events))
    end
    return rate
end

-- Adds slots up: the newest window end wins; a slot that is behind counts as it stands, its baseline
-- decayed by the distance.
local function add_up(c, slots)
    local s = {t = 0, e = 0, n = 0, pe = 0, pn = 0, be = 0, bn = 0, p = 0, first = math.huge}
    for i = 1, #slots do
        s.t = math.max(s.t, slots[i][SLOT_WINDOW_END])
    end
    for i = 1, #slots do
        local x = slots[i]
        local decay = math.exp(c.ln_keep * (s.t - x[SLOT_WINDOW_END]))
        s.e, s.n = s.e + x[SLOT_ENGAGEMENT_E6], s.n + x[SLOT_EVENTS]
        s.pe, s.pn = s.pe + x[SLOT_PREVIOUS_ENGAGEMENT_E6], s.pn + x[SLOT_PREVIOUS_EVENTS]
        if SLOT_PROVISIONAL_E6 then s.p = s.p + x[SLOT_PROVISIONAL_E6] end
        s.be = s.be + x[SLOT_BASELINE_ENGAGEMENT_E6] * decay
        s.bn = s.bn + x[SLOT_BASELINE_EVENTS] * decay
        s.first = math.min(s.first, x[SLOT_FIRST_PANE])
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

-- The velocity that is usual for a KOL, by its own history; nil while that is shorter than three windows.
local function own_baseline(c, s)
    local history = math.max(s.t - 2 * c.panes, 0) - s.first
    if history < 3 * c.panes then
        return nil
    end
    local factor = c.panes / (1 - math.exp(c.ln_keep * history))
    return velocity(c, factor * s.be, factor * s.bn)
end
