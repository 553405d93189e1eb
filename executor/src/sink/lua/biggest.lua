-- The score of the profiles default and spark-compat. Stands behind score.lua, before merge.lua.

-- The values that the executor sends for a KOL with one slot, computed from several.
local function score(c, s, market)
    local v, pv = velocity(c, s.e, s.n), velocity(c, s.pe, s.pn)
    local own = own_baseline(c, s)
    local momentum = clamp((v - pv) / math.max(pv, c.floor_velocity), c.momentum_min, c.momentum_max)
    if c.is_spark == 1 then
        market, own, momentum = 100, 100, 0
    end
    local baseline = own or market
    local growth = v / math.max(baseline, c.floor_baseline)
    local position = v / math.max(market, c.floor_market)
    local raw = c.weight_personal * growth + c.weight_market * position
        + c.weight_momentum * (1 + momentum)
    local total = 100 / (1 + math.exp(-c.steepness * (raw - c.midpoint)))
    return texts_of({
        rank = total, trending_score = total,
        trending_label = label(c, tonumber(string.format(SCORE_FORMAT, total))),
        velocity = v, momentum = momentum, personal_growth = growth, market_position = position,
        raw_score = raw, baseline = own or 0, event_count = s.n, total_engagement = s.e / 1e6,
        window_end = iso(s.t * c.slide_ms),
    })
end
