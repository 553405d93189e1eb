-- Begins a flush. From here on Redis may show this partition up to `offset` and window end `t`, and
-- merges of older flushes are refused. None of its own has run.
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives,
-- and owner.lua.
--
-- Answers  'OK', 'NOFENCE' (Redis lost the record, or went back to an older one) or 'FENCED'
local f = redis.call('HMGET', KEY_FENCE, 'gen', 'ae', 'begun', 'off', 't', 'done')
local state = owner_state(f, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH})
if state ~= 'OK' then
    return state
end
if tonumber(ARG_SEQUENCE) <= tonumber(f[3]) then
    return 'FENCED'
end
if tonumber(f[6] or 0) < tonumber(ARG_CONFIRMED) then
    return 'NOFENCE'
end
local shown = tonumber(f[4] or 0)
local offset = math.max(shown, tonumber(ARG_OFFSET))
local window_end = math.max(tonumber(f[5] or 0), tonumber(ARG_WINDOW_END))
redis.call('HSET', KEY_FENCE, 'begun', ARG_SEQUENCE, 'ran', '0',
    'off', string.format('%.0f', offset), 't', string.format('%.0f', window_end))
if offset > shown then redis.call('HSET', KEY_FENCE, 'last', ARG_LAST) end
return 'OK'
