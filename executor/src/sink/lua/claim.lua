-- Claims a source partition: raises its fence and returns what the previous owner left.
--
-- Before these lines stand the names of keys (KEY_…) and arguments (ARG_…), which sink/calls.rs gives.
--
-- Answers  {'FENCED', generation, assignment epoch} when a newer owner holds it; otherwise
--          {'CLAIMED', seq_begun, seq_done, offset, window end, last record}, the last three empty when nothing of
--          this generation and log was written yet. What was shown of another log will not be reached.
--          'RAISED' in the place of 'CLAIMED' where the record was of an older generation
local generation, assignment_epoch, log = tonumber(ARG_GENERATION), tonumber(ARG_ASSIGNMENT_EPOCH), ARG_LOG
local f = redis.call('HMGET', KEY_FENCE, 'gen', 'ae', 'begun', 'done', 'off', 't', 'log', 'last')
local held, held_assignment_epoch = tonumber(f[1] or 0), tonumber(f[2] or 0)
if held > generation or (held == generation and held_assignment_epoch > assignment_epoch) then
    return {'FENCED', tostring(held), tostring(held_assignment_epoch)}
end
if held < generation then
    redis.call('DEL', KEY_FENCE)
    redis.call('HSET', KEY_FENCE, 'gen', ARG_GENERATION, 'ae', ARG_ASSIGNMENT_EPOCH,
        'begun', '0', 'done', '0', 'log', log)
    return {held > 0 and 'RAISED' or 'CLAIMED', '0', '0', '', '', ''}
end
redis.call('HSET', KEY_FENCE, 'ae', ARG_ASSIGNMENT_EPOCH)
local known = f[7] or ''
if log ~= '' and log ~= known then
    redis.call('HSET', KEY_FENCE, 'log', log)
    -- A log is named by its id and how often it lost its tail. Where the record has no name, the broker gave no
    -- id then; a log that lost its tail since is another one all the same.
    if known ~= '' or not string.match(log, '/0$') then
        redis.call('HSET', KEY_FENCE, 'off', '0', 't', '0', 'last', '')
        return {'CLAIMED', f[3] or '0', f[4] or '0', '', '', ''}
    end
end
return {'CLAIMED', f[3] or '0', f[4] or '0', f[5] or '', f[6] or '', f[8] or ''}
