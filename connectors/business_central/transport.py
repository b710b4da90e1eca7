"""The HTTP client for Business Central: httpx in front, aiohttp below, with honest exceptions in between.

httpx-aiohttp reports a connection that breaks *after* the request was sent (aiohttp's ServerDisconnectedError, a reset)
as httpx.ConnectTimeout, as if nothing had been sent. Taken at its word, a draft would be created twice. So its
exceptions are translated once more here, from what aiohttp raised. aiohttp itself sends a request again on a dead
kept-alive connection, but only idempotent methods; a POST never.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

# The first that fits counts: aiohttp's subclasses come before their bases.
_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[httpx.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    ((aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError), httpx.UnsupportedProtocol),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    ((aiohttp.ClientResponseError, aiohttp.ServerDisconnectedError), httpx.RemoteProtocolError),
)


@dataclass(frozen=True)
class ConnectionLimits:
    """How connections are kept."""

    connections: int = 512
    """All apps and users of a process share them, five at once of each: never so few that a slow one of them holds the
    others up, nor so many that a process runs out of files (often 1,024)."""
    keep_alive: timedelta = timedelta(seconds=15)
    """Short: a POST on a connection that the server has just dropped is in doubt, and costs a doubt window."""
    connect: timedelta = timedelta(seconds=10)
    """TCP, TLS and the wait for a connection of the pool: all before anything is sent."""

    def __post_init__(self) -> None:
        if self.connections < 1 or min(self.keep_alive, self.connect) <= timedelta(0):
            raise ValueError("limits must be positive")


def build_http_client(*, ca_bundle: Path | None = None, limits: ConnectionLimits | None = None) -> httpx.AsyncClient:
    """Build the client: no redirects (a token must not travel to another host), no environment proxies or netrc.

    Args:
        ca_bundle: Certificates to trust instead of the usual ones (the simulator's).
        limits: How connections are kept.
    """
    kept = limits or ConnectionLimits()
    inner = AiohttpTransport(
        verify=ssl.create_default_context(cafile=str(ca_bundle)) if ca_bundle else True,
        # Of the environment, the inner transport takes SSL_CERT_FILE and SSL_CERT_DIR only.
        trust_env=True,
        limits=httpx.Limits(
            max_connections=kept.connections,
            max_keepalive_connections=kept.connections,
            keepalive_expiry=kept.keep_alive.total_seconds(),
        ),
    )
    connect = kept.connect.total_seconds()
    # No time-out between reads and writes: the client's total deadlines are shorter than any that would make sense.
    timeout = httpx.Timeout(connect=connect, pool=connect, read=None, write=None)
    return httpx.AsyncClient(transport=HonestTransport(inner), timeout=timeout, follow_redirects=False, trust_env=False)


class HonestTransport(httpx.AsyncBaseTransport):
    """Raises httpx.ConnectError, ConnectTimeout, PoolTimeout or ProxyError only if nothing was sent."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.TransportError: of the kind that tells whether anything was sent.
        """
        with _translated(request):
            response = await self._inner.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _HonestStream(response.stream, request)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _HonestStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, request: httpx.Request) -> None:
        self._inner = inner
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _translated(self._request, headers_came=True):
            async for chunk in self._inner:
                yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


@contextlib.contextmanager
def _translated(request: httpx.Request, *, headers_came: bool = False) -> Generator[None]:
    try:
        yield
    except (httpx.TransportError, aiohttp.ClientError, OSError) as failure:
        original = failure.__cause__ if isinstance(failure, httpx.TransportError) else failure
        kind = httpx.ReadError if headers_came else _get_kind(original)
        raise kind(f"{type(original or failure).__name__}: {failure}", request=request) from original


def _get_kind(original: BaseException | None) -> type[httpx.TransportError]:
    """Choose the exception. What is not known to happen before sending counts as after."""
    return next((kind for raised, kind in _KINDS if isinstance(original, raised)), httpx.ReadError)
