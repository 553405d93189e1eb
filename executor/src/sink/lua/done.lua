-- Ends a flush: everything it sent is in Redis. Before these lines stand errors.lua and owner.lua.
--
-- Where a merge failed the flush does not end: its caller has the error of the merge. Where all merges answered
-- and yet not all are on record, Redis lost some.
--
-- KEYS     fence record, last_update, last_event, platforms
-- ARGV     generation, assignment epoch, sequence, time now, newest event time of the job as far as
--          the partition knows it (both ISO 8601; the latter may be empty), number of merges
-- Answers  {'OK'}, {'NOFENCE'} or {'FENCED'}; or 'BADKEY' and those of last_event and platforms that are of a wrong
--          type: they stay as they are
local f = redis.call('HMGET', KEYS[1], 'gen', 'ae', 'begun', 'ran')
local state = owner_state(f, {ARGV[1], ARGV[2], ARGV[3]})
if state ~= 'OK' then
    return {state}
end
if f[4] ~= ARGV[6] then
    return {'NOFENCE'}
end
redis.call('HSET', KEYS[1], 'done', ARGV[3])
redis.call('SET', KEYS[2], ARGV[4])
-- Not the largest there ever was: what a job before this one saw, or a clock that was wrong, must not stay.
local answer = {'OK'}
if is_wrong_type(redis.pcall('GET', KEYS[3])) then
    answer = {'BADKEY', KEYS[3]}
elseif ARGV[5] ~= '' then
    redis.call('SET', KEYS[3], ARGV[5])
end
-- Merges add to it only where a ranking is new, and so do not see it every time.
local platforms = redis.call('TYPE', KEYS[4]).ok
if platforms ~= 'set' and platforms ~= 'none' then
    answer[1] = 'BADKEY'
    answer[#answer + 1] = KEYS[4]
end
return answer
