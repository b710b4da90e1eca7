"""The body of an answer, read to a limit: an answer of any size, or one that unpacks to any size, must not fill memory.

Nothing here looks at what the bytes say. Both connectors read through it, so it counts what comes *out* of the
decompression, chunk by chunk, and stops where the limit is passed.
"""

import zlib
from collections.abc import AsyncIterable, Callable
from typing import Final

LONGEST_ANSWER: Final = 64 * 2**20
"""Bytes of a success. The longest that Business Central gives, a page of 20,000 customers, has some 30 MB."""
LONGEST_ERROR: Final = 2**18
"""Bytes of an answer that is none: what is beyond is cut off, for its status says enough."""
ACCEPTED_ENCODING: Final = "gzip"
"""What to ask for. Others that servers send unasked for are not unpacked, except deflate."""

_WINDOWS: dict[str, int] = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_PLAIN = frozenset({"", "identity"})
_STEP = 2**20


class AnswerTooLarge(ValueError):  # noqa: N818 - names what it is, as the errors of the wire do
    """The body is longer than the limit, or packed in a way that is not read."""


async def read_bounded(chunks: AsyncIterable[bytes], *, encoding: str, is_success: bool) -> bytes:
    """Read and unpack a body.

    Args:
        chunks: As they come off the wire.
        encoding: The answer's Content-Encoding.
        is_success: A longer success is an error, a longer failure is cut.

    Raises:
        AnswerTooLarge: it is longer than the limit, or its packing is unknown or broken.
    """
    limit = LONGEST_ANSWER if is_success else LONGEST_ERROR
    unpack = _choose_unpacking(encoding.strip().lower())
    parts: list[bytes] = []
    left = limit
    async for chunk in chunks:
        # One byte more tells whether there is more.
        part = unpack(chunk, left + 1)
        if len(part) > left:
            if is_success:
                raise AnswerTooLarge(f"the answer is longer than {limit:,} bytes")
            parts.append(part[:left])
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _choose_unpacking(encoding: str) -> Callable[[bytes, int], bytes]:
    if encoding in _PLAIN:
        return lambda chunk, _: chunk
    if encoding not in _WINDOWS:
        raise AnswerTooLarge("the answer is packed in a way that was not asked for")
    inflater = zlib.decompressobj(_WINDOWS[encoding])

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            return inflater.decompress(chunk, most)
        except zlib.error as error:
            raise AnswerTooLarge("the answer can't be unpacked") from error

    return unpack
