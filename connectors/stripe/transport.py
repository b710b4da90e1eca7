"""The HTTP client below stripe-python: one per process, shared by all connections.

stripe-python's own `AIOHTTPClient` (16.1.0) reads the body outside its `try`, so that an answer cut short gets out as
an aiohttp error and is not retried; leaves the connection of a cancelled request to the garbage collector; follows
redirects; keeps cookies; and reads an answer of any size. This one does not, at the same cost. Retries, idempotency
keys and errors stay the SDK's.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import aiohttp
import stripe

from connectors.bounded import ACCEPTED_ENCODING, AnswerTooLarge, read_bounded

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class TransportLimits:
    """How connections are kept, and how long a single try may stand still."""

    connections: int = 64
    """Stripe limits requests under way too; 100 requests a second of 100 ms each need ten."""
    keep_alive: timedelta = timedelta(seconds=30)
    connect: timedelta = timedelta(seconds=5)
    """TCP and TLS."""
    silence: timedelta = timedelta(seconds=9)
    """Longest wait for the next byte: two silent tries fit in the deadline of a read."""

    def __post_init__(self) -> None:
        if self.connections < 1 or min(self.keep_alive, self.connect, self.silence) <= timedelta(0):
            raise ValueError("limits must be positive")


class StripeHttp(stripe.HTTPClient):
    """HTTP for any number of `StripeApi`. Belongs to the event loop of its first request; close it in the same."""

    name = "aiohttp"

    def __init__(
        self,
        *,
        ca_bundle: Path | None = None,
        proxy: str | None = None,
        limits: TransportLimits | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Keep the settings; nothing is opened before the first request.

        Args:
            ca_bundle: Certificates to trust instead of those that come with stripe-python.
            proxy: URL of an HTTP proxy. The environment's proxies are not used.
            limits: How connections are kept.
            sleep: How to wait between tries, in seconds.
        """
        super().__init__()
        self._ca_bundle = ca_bundle
        self._http_proxy = proxy
        self._limits = limits or TransportLimits()
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        # Global in the SDK: it would send a machine id, and timings of earlier requests with each request.
        stripe.enable_telemetry = False
        # At debug level the SDK logs bodies, which are personal data.
        logging.getLogger("stripe").setLevel(logging.WARNING)

    def sleep_async(self, secs: float) -> Awaitable[None]:
        """Wait between tries."""
        return self._sleep(secs)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request; returns body, status and headers.

        Raises:
            stripe.APIConnectionError: no whole answer came; its cause is the transport's own error.
            stripe.APIError: a success that is no UTF-8.
        """
        try:
            async with self._get_session().request(
                method, url, headers=headers, data=post_data, allow_redirects=False, proxy=self._http_proxy
            ) as response:
                body = await read_bounded(
                    response.content.iter_any(),
                    encoding=response.headers.get("Content-Encoding", ""),
                    is_success=response.ok,
                )
                return _require_utf8(body, response), response.status, response.headers
        except AnswerTooLarge as error:
            # Asked for again it would be as long.
            raise stripe.APIConnectionError(type(error).__name__, should_retry=False) from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            _raise_connection_error(error)

    async def request_stream_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[AsyncIterable[bytes], int, Mapping[str, str]]:
        """Not supported: the hub streams nothing from Stripe."""
        raise NotImplementedError

    async def close(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - the SDK's is a no-op and blocking
        """Close all connections. A second call does nothing."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def close_async(self) -> None:
        """Close all connections, under the SDK's name."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _get_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._build_session()
        return self._session

    def _build_session(self) -> aiohttp.ClientSession:
        limits = self._limits
        connector = aiohttp.TCPConnector(
            limit=limits.connections,
            keepalive_timeout=limits.keep_alive.total_seconds(),
            ssl=ssl.create_default_context(cafile=str(self._ca_bundle or stripe.ca_bundle_path)),
        )
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect.total_seconds(), sock_read=limits.silence.total_seconds()
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers={"Accept-Encoding": ACCEPTED_ENCODING},
        )


def is_untrusted(error: BaseException | None) -> bool:
    """Tell whether a certificate that can't be trusted is at the bottom of an error."""
    while error is not None:
        if isinstance(error, (ssl.SSLCertVerificationError, aiohttp.ClientConnectorCertificateError)):
            return True
        error = error.__cause__
    return False


def is_bad_address(error: BaseException | None) -> bool:
    """Tell whether the address itself can't be called."""
    return isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError))


def _require_utf8(body: bytes, response: aiohttp.ClientResponse) -> bytes:
    """Make sure that the SDK can decode the body: its logging raises UnicodeDecodeError for what is no UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError:
        if response.ok:
            raise stripe.APIError("no UTF-8", None, response.status, None, dict(response.headers)) from None
        return body.decode("utf-8", "replace").encode()
    return body


def _raise_connection_error(error: Exception) -> NoReturn:
    """Raise what the SDK retries. Any request may be repeated: a POST carries its idempotency key."""
    is_hopeless = is_untrusted(error) or is_bad_address(error)
    raise stripe.APIConnectionError(type(error).__name__, should_retry=not is_hopeless) from error
