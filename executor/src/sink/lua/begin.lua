-- Begins a flush. From here on Redis may show this partition up to `offset` and window end `t`, and
-- merges of older flushes are refused. None of its own has run.
-- Before these lines stands owner.lua.
--
-- KEYS[1]  fence record
-- ARGV     generation, assignment epoch, sequence, offset, window end, sequence that Redis confirmed
--          last, what the next owner is to know of the record before the offset
-- Answers  'OK', 'NOFENCE' (Redis lost the record, or went back to an older one) or 'FENCED'
local f = redis.call('HMGET', KEYS[1], 'gen', 'ae', 'begun', 'off', 't', 'done')
local state = owner_state(f, {ARGV[1], ARGV[2]})
if state ~= 'OK' then
    return state
end
if tonumber(ARGV[3]) <= tonumber(f[3]) then
    return 'FENCED'
end
if tonumber(f[6] or 0) < tonumber(ARGV[6]) then
    return 'NOFENCE'
end
local shown = tonumber(f[4] or 0)
local offset = math.max(shown, tonumber(ARGV[4]))
local window_end = math.max(tonumber(f[5] or 0), tonumber(ARGV[5]))
redis.call('HSET', KEYS[1], 'begun', ARGV[3], 'ran', '0',
    'off', string.format('%.0f', offset), 't', string.format('%.0f', window_end))
if offset > shown then redis.call('HSET', KEYS[1], 'last', ARGV[7]) end
return 'OK'
