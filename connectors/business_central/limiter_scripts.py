"""The limiter's Lua: each script is one round trip, runs on Redis's own clock, and answers with integers only.

Keys, all with one hash tag so that they live on one node of a cluster:

    state    hash: `tokens` and `at` (ms) of the bucket; `pace` (share of the full rate) and `paced_at`, `halved_at` and
             `silent_until` (ms) after a 429
    slots    sorted set: name of a slot taken -> when its lease ends (ms)
    held     sorted set: those of them kept for a write in doubt
    live, history   sorted sets: tickets that wait -> when they came (ms)
    seen     sorted set: tickets that wait -> when they last asked (ms)
"""

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# A ticket that did not ask for this long belongs to a process that is gone. Longer than the longest answered wait.
STALE_TICKET_MS = 5_000
LONGEST_POLL_MS = 1_000

# KEYS: state slots held live history seen
# ARGV: ticket, live (1/0), at_once, history_at_once, burst, rate (requests a second), reserve, lease_ms, window_ms,
#       recovery (share of the full rate regained a second)
# Answers 0 when the slot is taken (its name is the ticket), else the milliseconds after which asking again makes sense.
ACQUIRE = (
    _NOW
    + f"""
local state, slots, held, live, history, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ticket, is_live = ARGV[1], ARGV[2] == '1'
local at_once, history_at_once = tonumber(ARGV[3]), tonumber(ARGV[4])
local burst, rate, reserve = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local lease_ms, window_ms, recovery = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now - {STALE_TICKET_MS})) do
    redis.call('ZREM', live, gone)
    redis.call('ZREM', history, gone)
    redis.call('ZREM', seen, gone)
end

local queue = is_live and live or history
redis.call('ZADD', queue, 'NX', now, ticket)
redis.call('ZADD', seen, now, ticket)
for _, key in ipairs({{queue, seen}}) do
    redis.call('PEXPIRE', key, {STALE_TICKET_MS * 2})
end

local found = redis.call('HMGET', state, 'tokens', 'at', 'pace', 'paced_at', 'silent_until')
local pace = tonumber(found[3]) or 1
if pace < 1 then
    pace = math.min(1, pace + (now - tonumber(found[4])) / 1000 * recovery)
end
local tokens = tonumber(found[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(found[2]) or now)) / 1000 * rate * pace)

-- Those who came before me go first; live before history.
local ahead = redis.call('ZRANK', queue, ticket)
if not is_live then ahead = ahead + redis.call('ZCARD', live) end
local taken = redis.call('ZCARD', slots)
local free = (is_live and at_once or history_at_once) - taken
local spare = is_live and 0 or reserve
local silent = (tonumber(found[5]) or 0) - now

redis.call('HSET', state, 'tokens', tostring(tokens), 'at', now, 'pace', tostring(pace), 'paced_at', now)
redis.call('PEXPIRE', state, window_ms + 60000)

local token_ms = math.ceil((spare + ahead + 1 - tokens) / (rate * pace) * 1000)
if silent <= 0 and ahead < free and token_ms <= 0 then
    redis.call('HSET', state, 'tokens', tostring(tokens - 1))
    redis.call('ZREM', queue, ticket)
    redis.call('ZREM', seen, ticket)
    redis.call('ZADD', slots, now + lease_ms, ticket)
    local last = redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')
    redis.call('PEXPIRE', slots, math.max(1, tonumber(last[2]) - now + 1000))
    return 0
end
-- Nobody can know when a slot comes free: about 25 ms for each that has to come free before it is my turn.
local slot_ms = math.max(0, ahead + 1 - free) * 25
return math.max(5, math.min({LONGEST_POLL_MS}, math.max(slot_ms, token_ms, silent)))
"""
)

# KEYS: slots held live history seen; ARGV: name. Frees a slot, or gives up a place in the queue.
RELEASE = """
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
"""

# KEYS: slots; ARGV: name, lease_ms. Begins the lease of a slot anew; one that has ended meanwhile is not taken again.
RENEW = (
    _NOW
    + """
redis.call('ZADD', KEYS[1], 'XX', 'GT', now + tonumber(ARGV[2]), ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIRE', KEYS[1], math.max(1, tonumber(last[2]) - now + 1000)) end
return 1
"""
)

# KEYS: slots held; ARGV: name, keep_ms, held_at_most. Answers 1 if the slot is kept, 0 if too many are.
HOLD = (
    _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local is_held = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not is_held and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
local ends = now + tonumber(ARGV[2])
for _, key in ipairs({KEYS[1], KEYS[2]}) do
    redis.call('ZADD', key, ends, ARGV[1])
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    redis.call('PEXPIRE', key, math.max(1, tonumber(last[2]) - now + 1000))
end
return 1
"""
)

# KEYS: state; ARGV: silence_ms, floor, cooldown_ms, window_ms, recovery. Halves the pace, but once for all the requests
# that were in flight together; answers the pace in thousandths.
THROTTLED = (
    _NOW
    + """
local found = redis.call('HMGET', KEYS[1], 'pace', 'paced_at', 'halved_at', 'silent_until')
local pace = tonumber(found[1]) or 1
pace = math.min(1, pace + (now - (tonumber(found[2]) or now)) / 1000 * tonumber(ARGV[5]))
if now - (tonumber(found[3]) or 0) >= tonumber(ARGV[3]) then
    pace = math.max(tonumber(ARGV[2]), pace / 2)
    -- No burst right after the silence: what was saved up is gone.
    redis.call('HSET', KEYS[1], 'halved_at', now, 'tokens', '0', 'at', now)
end
local silent_until = math.max(tonumber(found[4]) or 0, now + tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'pace', tostring(pace), 'paced_at', now, 'silent_until', silent_until)
redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[4]) + 60000, silent_until - now + 60000))
return math.floor(pace * 1000)
"""
)
