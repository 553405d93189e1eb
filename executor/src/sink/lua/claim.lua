-- Claims a source partition: raises its fence and returns what the previous owner left.
--
-- KEYS[1]  fence record
-- ARGV     generation, assignment epoch
-- Answers  {'FENCED', generation, assignment epoch} when a newer owner holds it; otherwise
--          {'CLAIMED', seq_begun, seq_done, offset, window end}, the last two empty when nothing of
--          this generation was written yet.
local generation, epoch = tonumber(ARGV[1]), tonumber(ARGV[2])
local f = redis.call('HMGET', KEYS[1], 'gen', 'ae', 'begun', 'done', 'off', 't')
local held, held_epoch = tonumber(f[1] or 0), tonumber(f[2] or 0)
if held > generation or (held == generation and held_epoch > epoch) then
    return {'FENCED', tostring(held), tostring(held_epoch)}
end
if held < generation then
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'ae', ARGV[2], 'begun', '0', 'done', '0')
    return {'CLAIMED', '0', '0', '', ''}
end
redis.call('HSET', KEYS[1], 'ae', ARGV[2])
return {'CLAIMED', f[3] or '0', f[4] or '0', f[5] or '', f[6] or ''}
