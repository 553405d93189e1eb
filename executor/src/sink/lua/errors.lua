-- Whether the answer of a protected call is a failure because its key is of another type. Any other failure (a
-- missing right, a full memory, a replica) is raised: whoever sent the script must not take it for an answer.
local function is_wrong_type(reply)
    local failure = type(reply) == 'table' and reply.err
    if not failure then
        return false
    end
    if string.sub(failure, 1, 9) ~= 'WRONGTYPE' then
        error(failure, 0)
    end
    return true
end
