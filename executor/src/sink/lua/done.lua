-- Ends a flush: everything it sent is in Redis.
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives,
-- errors.lua and owner.lua. Behind those keys, from FIRST_HASH, stand hashes of alerts that were of a wrong type: looks at rules may not
-- meet them for long.
--
-- Where a merge failed the flush does not end: its caller has the error of the merge. Where all merges answered
-- and yet not all are on record, Redis lost some.
--
-- Answers  {'OK'}, {'NOFENCE'} or {'FENCED'}; or 'BADKEY' and those of last_event, platforms and these hashes that are of a wrong
--          type: they stay as they are
local f = redis.call('HMGET', KEY_FENCE, 'gen', 'ae', 'begun', 'ran')
local state = owner_state(f, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH, ARG_SEQUENCE})
if state ~= 'OK' then
    return {state}
end
if f[4] ~= ARG_MERGES then
    return {'NOFENCE'}
end
redis.call('HSET', KEY_FENCE, 'done', ARG_SEQUENCE)
redis.call('SET', KEY_LAST_UPDATE, ARG_NOW)
-- Not the largest there ever was: what a job before this one saw, or a clock that was wrong, must not stay.
local answer = {'OK'}
if is_wrong_type(redis.pcall('GET', KEY_LAST_EVENT)) then
    answer = {'BADKEY', KEY_LAST_EVENT}
elseif ARG_NEWEST_EVENT ~= '' then
    redis.call('SET', KEY_LAST_EVENT, ARG_NEWEST_EVENT)
end
-- Merges add to it only where a ranking is new, and so do not see it every time.
local platforms = redis.call('TYPE', KEY_PLATFORMS).ok
if platforms ~= 'set' and platforms ~= 'none' then
    answer[1] = 'BADKEY'
    answer[#answer + 1] = KEY_PLATFORMS
end
for i = FIRST_HASH, #KEYS do
    local is = redis.call('TYPE', KEYS[i]).ok
    if is ~= 'hash' and is ~= 'none' then
        answer[1] = 'BADKEY'
        answer[#answer + 1] = KEYS[i]
    end
end
return answer
