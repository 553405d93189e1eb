-- Whose a fence record is, by what it holds and what the caller is: generation, assignment epoch and, where the
-- caller is a flush, its sequence. The first that differs decides.
-- Answers  'OK'; 'FENCED' where a newer one holds it; 'NOFENCE' where it is not there, or an older one holds it:
--          the caller was in Redis before, so Redis lost the record, or went back to an older one
local function owner_state(held, own)
    for i = 1, #own do
        local theirs, ours = tonumber(held[i]), tonumber(own[i])
        if not theirs or theirs < ours then return 'NOFENCE' end
        if theirs > ours then return 'FENCED' end
    end
    return 'OK'
end
