"""Secrets at rest under a new key: each is read with whichever key fits and written with the first."""

from typing import Any

from hub.app import Foundation
from hub.redis import connection_key, run, tokens_key

# A service may store a newer sign-in, or an operator newer keys, between the read and the write: theirs must stay.
_REPLACE_FIELD = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


async def rotate_all(foundation: Foundation) -> list[str]:
    """Rotate every connection's secrets and sign-in; returns the connections.

    Raises:
        Blocked: one can't be read with any of the keys; those before it are done, and doing it again is harmless.
    """
    ids = await foundation.directory.list_ids()
    for connection in ids:
        await _rotate_secrets(foundation.redis, foundation, connection)
        await _rotate_sign_in(foundation.redis, foundation, connection)
    return [str(connection) for connection in ids]


async def _rotate_secrets(redis: Any, foundation: Foundation, connection: str) -> None:
    key = connection_key(connection)
    while (stored := await run(redis.hget(key, "secrets"))) is not None:
        fresh = foundation.directory.box.rotate(stored)
        if await run(redis.eval(_REPLACE_FIELD, 1, key, "secrets", stored, fresh)):
            return


async def _rotate_sign_in(redis: Any, foundation: Foundation, connection: str) -> None:
    key = tokens_key(connection)
    while (stored := await run(redis.get(key))) is not None:
        if await run(redis.eval(_REPLACE, 1, key, stored, foundation.directory.box.rotate(stored))):
            return
