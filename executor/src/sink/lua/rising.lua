-- The score of the profile rising. Stands behind score.lua, before merge.lua.

local LN2 = math.log(2)

local function log2(x)
    return math.log(x) / LN2
end

-- Linear between the points (-0.5, 25), (0.6, 40), (1.3, 60) and (2, 80), exponential outside of them.
local function curve(s)
    if s <= -0.5 then return 25 * 2 ^ (s + 0.5) end
    if s <= 0.6 then return 25 + 15 * (s + 0.5) / 1.1 end
    if s <= 1.3 then return 40 + 20 * (s - 0.6) / 0.7 end
    if s <= 2 then return 60 + 20 * (s - 1.3) / 0.7 end
    return 100 - 20 * 2 ^ (2 - s)
end

-- The values that the executor sends for a KOL with one slot, computed from several.
local function score(c, s, market)
    local v, pv = velocity(c, s.e + s.p, s.n), velocity(c, s.pe, s.pn)
    local usual = own_baseline(c, s)
    local momentum = clamp((v - pv) / math.max(pv, c.floor_velocity), c.momentum_min, c.momentum_max)
    market = math.max(market, 10 / c.minutes)
    local growth = usual and log2((v + market) / (usual + market)) or 0
    local rising = growth + 0.2 * log2(1 + v / market)
    local total = curve(rising)
    local shown = label(c, tonumber(string.format(SCORE_FORMAT, total)))
    if not usual and (shown == 'Viral' or shown == 'Hot') then shown = 'Warm' end
    return texts_of({
        rank = total, trending_score = total, trending_label = shown,
        rising = rising, growth = growth, usual = usual or 0, provisional = s.p / 1e6 / c.minutes,
        newcomer = usual and 0 or 1, velocity = v, momentum = momentum,
        personal_growth = v / math.max(usual or market, c.floor_baseline), baseline = usual or 0,
        event_count = s.n, total_engagement = s.e / 1e6, window_end = iso(s.t * c.slide_ms),
    })
end
