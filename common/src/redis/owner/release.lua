-- Removes the owner records of a job that is over; those of another job stay.
--
-- KEYS     the owner records of all templates that the job writes, and their copies
-- ARGV     generation (not looked at), job id
-- Answers  how many were removed
local removed = 0
for _, key in ipairs(KEYS) do
    if redis.call('HGET', key, 'job_id') == ARGV[2] then removed = removed + redis.call('DEL', key) end
end
return removed
