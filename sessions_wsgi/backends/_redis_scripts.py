"""What Redis does at once, in Lua: one script per operation, on one slot, hence fit for a cluster.

A record is a hash: ``v`` version, ``d`` data, ``e`` deadline as it was given, since that of the key itself is
in milliseconds. A list is two keys: a sorted set of its keys by deadline, and a hash of the notes.

A client that follows a cluster through a change may send a script twice, so each gives the same answer again.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any


class Script:
    """Called with a client and the keys: one round trip, two where the server does not know it yet."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._sha = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: Any, unknown: type[Exception], keys: list[str], *values: object) -> Any:
        """`unknown` is the driver's `NoScriptError`."""
        try:
            return client.evalsha(self._sha, len(keys), *keys, *values)
        except unknown:
            return client.eval(self._text, len(keys), *keys, *values)


#: version, data, expires, milliseconds → 1, or 0 when the key is taken.
CREATE = Script("""
local current = redis.call('HGET', KEYS[1], 'v')
if current then
    return current == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2], 'e', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return 1
""")

#: version, data, expires, milliseconds, old version → 1, 0 when there is none, or v, d, e of the winner.
UPDATE = Script("""
local current = redis.call('HGET', KEYS[1], 'v')
if not current then
    return 0
end
if current == ARGV[1] then
    return 1
end
if current ~= ARGV[5] then
    return redis.call('HMGET', KEYS[1], 'v', 'd', 'e')
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2], 'e', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
return 1
""")

#: expires, milliseconds, version → 1, or 0 when it is gone or moved on.
TOUCH = Script("""
if redis.call('HGET', KEYS[1], 'v') ~= ARGV[3] then
    return 0
end
redis.call('HSET', KEYS[1], 'e', ARGV[1])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return 1
""")

_NOW = """
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
"""

#: key, expires, note. Drops what has expired; the list itself expires with its last entry.
LINK = Script(f"""{_NOW}
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
    redis.call('ZREM', KEYS[1], key)
    redis.call('HDEL', KEYS[2], key)
end
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last then
    local milliseconds = string.format('%.0f', math.ceil(last * 1000))
    redis.call('PEXPIREAT', KEYS[1], milliseconds)
    redis.call('PEXPIREAT', KEYS[2], milliseconds)
end
""")

#: key.
UNLINK = Script("""
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
""")

#: → key, expires, note, key, expires, note …
LINKED = Script(f"""{_NOW}
local found = {{}}
local entries = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES')
for i = 1, #entries, 2 do
    table.insert(found, entries[i])
    table.insert(found, entries[i + 1])
    table.insert(found, redis.call('HGET', KEYS[2], entries[i]))
end
return found
""")
