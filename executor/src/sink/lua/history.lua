-- Keeps the first of a ranking as it is shown at this moment, and drops snapshots that are not kept any longer. Whoever does
-- not fit into the bytes of a snapshot is not in it, nor is anybody behind: then it says that it is cut.
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives,
-- and owner.lua. Behind the arguments stand the names of the snapshots that are dropped.
--
-- What is shown of another generation is not this job's to keep; nor is a ranking without creators kept.
--
-- Answers  {'OK'}, {'NOFENCE'} or {'FENCED'}; or 'BADKEY' and the key of a wrong type because of which nothing was kept
local f = redis.call('HMGET', KEY_FENCE, 'gen', 'ae')
local state = owner_state(f, {ARG_GENERATION, ARG_ASSIGNMENT_EPOCH})
if state ~= 'OK' then
    return {state}
end
for key, kind in pairs({[KEY_RECORD] = 'string', [KEY_RANKING] = 'zset', [KEY_HISTORY] = 'zset',
    [KEY_SNAPSHOTS] = 'hash'}) do
    local is = redis.call('TYPE', key).ok
    if is ~= kind and is ~= 'none' then
        return {'BADKEY', key}
    end
end
if redis.call('GET', KEY_RECORD) ~= ARG_GENERATION .. ' live' then
    return {'OK'}
end
local members = redis.call('ZREVRANGE', KEY_RANKING, 0, ARG_PLACES - 1, 'WITHSCORES')
if #members == 0 then
    return {'OK'}
end
-- Snapshots that no name leads to would never leave.
if redis.call('EXISTS', KEY_HISTORY) == 0 then redis.call('UNLINK', KEY_SNAPSHOTS) end
if #ARGV >= FIRST then
    redis.call('HDEL', KEY_SNAPSHOTS, unpack(ARGV, FIRST))
    redis.call('ZREM', KEY_HISTORY, unpack(ARGV, FIRST))
end
-- A call that comes again, or late, must not say that what is shown now was shown then.
local newest = redis.call('ZREVRANGE', KEY_HISTORY, 0, 0, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) >= tonumber(ARG_AT) then
    return {'OK'}
end

local before, after, after_cut = '{"window_end":"' .. ARG_WINDOW_END .. '","creators":[', ']}', '],"cut":true}'
local room = ARG_BYTES - #before - #after_cut
local creators = {}
for i = 1, #members, 2 do
    -- An escaped character takes up to six bytes.
    local creator = '[' .. cjson.encode(members[i]) .. string.format(',%.2f]', members[i + 1])
    room = room - #creator - 1
    if room < 0 then
        after = after_cut
        break
    end
    creators[#creators + 1] = creator
end
local snapshot = before .. table.concat(creators, ',') .. after

redis.call('HSET', KEY_SNAPSHOTS, ARG_NAME, snapshot)
redis.call('ZADD', KEY_HISTORY, ARG_AT, ARG_NAME)
redis.call('PEXPIRE', KEY_SNAPSHOTS, ARG_EXPIRY)
redis.call('PEXPIRE', KEY_HISTORY, ARG_EXPIRY)
return {'OK'}
