"""Delivery of events to endpoints: signed, retried, bounded, imperfect when told so (Stripe facts §45-§55)."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp

from simulators.stripe.events import render_event, without_metadata
from simulators.stripe.signatures import sign
from simulators.stripe.state import Endpoint, Event, Json, Realm, World
from simulators.stripe.versions import OLD
from simulators.stripe.webhook_endpoints import version_of
from simulators.stripe.webhook_faults import SMOOTH, Fate, WebhookFaults, draw_fate

_LOG_LENGTH = 10_000
_HELD_AT_MOST_S = 0.2
_BEHIND_S = 0.02  # long enough for the delivery that overtakes to be answered first
_STALE_S = 3600
_TWO_HUNDREDS = range(200, 300)
_MAX_RETRY_S = 3600.0


@dataclass(slots=True)
class Delivery:
    """One event on its way to one endpoint."""

    event: Event
    endpoint: Endpoint
    account: str | None
    fate: Fate = SMOOTH
    attempt: int = 1
    counted: bool = True
    manual: bool = False


class Outbox:
    """Takes events from the world and sends them with a bounded number of workers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.faults = WebhookFaults()
        self.log: deque[Json] = deque(maxlen=_LOG_LENGTH)
        self.waiting = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._held: Delivery | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Start the workers; must run in the loop that serves."""
        limit = self._world.settings.concurrency
        connector = aiohttp.TCPConnector(limit=limit, keepalive_timeout=30)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._workers = [asyncio.create_task(self._work()) for _ in range(limit)]
        self._world.publish = self.publish

    async def close(self) -> None:
        """Stop; what is still under way is lost."""
        for timer in self._timers:
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    @property
    def backlog(self) -> int:
        """The number of deliveries not yet finished, retries included."""
        return self.waiting

    def publish(self, realm: Realm, event: Event) -> None:
        """Queue the event for each endpoint that wants it."""
        for endpoint, account in self._audience(realm, event):
            event.pending += 1
            fate = draw_fate(self.faults, self._world.ids.rng)
            self._post(Delivery(event, endpoint, account, fate))

    def resend(self, realm: Realm, event: Event) -> int:
        """Deliver an event once more to all its endpoints, under its old id (facts §54)."""
        audience = self._audience(realm, event)
        for endpoint, account in audience:
            self._post(Delivery(event, endpoint, account, counted=False, manual=True))
        return len(audience)

    def _audience(self, realm: Realm, event: Event) -> list[tuple[Endpoint, str | None]]:
        """Find own endpoints, and the platform's Connect endpoints; live ones also see test events (facts §98, §99)."""
        found: list[tuple[Endpoint, str | None]] = []
        if len(realm.endpoints):
            found += [(held, None) for held in realm.endpoints if not held.connect and _takes(held, event)]
        platform = self._world.accounts.get(realm.account.platform or "")
        if platform is not None:
            homes = [platform.live] if realm.livemode else [platform.test, platform.live]
            found += [
                (held, realm.account.id)
                for home in homes
                for held in home.endpoints
                if held.connect and _takes(held, event)
            ]
        return found

    def _post(self, delivery: Delivery) -> None:
        self.waiting += 1
        self.idle.clear()
        fate = delivery.fate
        if fate.drop:
            self._finish(delivery, "dropped", None, "dropped on purpose", 0.0)
        elif fate.reorder and self._held is None:
            self._held = delivery
            self._later(_HELD_AT_MOST_S, lambda: self._release(delivery))
        elif fate.delay_s:
            self._later(fate.delay_s, lambda: self._queue.put_nowait(delivery))
        else:
            self._queue.put_nowait(delivery)
            if (held := self._held) is not None:
                self._later(_BEHIND_S, lambda: self._release(held))
        if fate.double and not fate.drop:
            twin = Delivery(delivery.event, delivery.endpoint, delivery.account, counted=False)
            self._post(twin)

    def _release(self, delivery: Delivery | None) -> None:
        if delivery is not None and self._held is delivery:
            self._held = None
            self._queue.put_nowait(delivery)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(timer)

    async def _work(self) -> None:
        while True:
            await self._attempt(await self._queue.get())

    async def _attempt(self, delivery: Delivery) -> None:
        if delivery.endpoint.public["status"] != "enabled":
            self._finish(delivery, "failed", None, "endpoint disabled or deleted", 0.0)
            return
        body, signature = self._render(delivery)
        started = time.perf_counter()
        status, problem = await self._send(delivery.endpoint.public["url"], body, signature)
        took = time.perf_counter() - started
        if status in _TWO_HUNDREDS:
            self._finish(delivery, "ok", status, None, took)
        elif delivery.attempt < self._world.settings.max_attempts and not delivery.manual:
            self._write_log(delivery, "failed", status, problem, took)
            again = replace(delivery, attempt=delivery.attempt + 1, fate=SMOOTH)
            self._later(self._pause(delivery.attempt), lambda: self._queue.put_nowait(again))
        else:
            self._finish(delivery, "failed", status, problem, took)

    def _pause(self, attempt: int) -> float:
        return min(self._world.settings.retry_base_ms / 1000 * 2 ** (attempt - 1), _MAX_RETRY_S)

    def _render(self, delivery: Delivery) -> tuple[bytes, str]:
        """Encode and sign anew for each attempt (facts §47)."""
        fate = delivery.fate
        version = OLD if fate.old_version else version_of(delivery.endpoint)
        body = render_event(delivery.event, version, account=delivery.account)
        if self._world.settings.null_metadata:
            body = without_metadata(body)
        secrets = delivery.endpoint.secrets
        if fate.two_signatures:
            secrets = ["whsec_being_rolled_out", *secrets]
        if fate.wrong_secret:
            secrets = ["whsec_of_somebody_else"]
        stamp = self._world.clock.stamp() - (_STALE_S if fate.stale else 0)
        return body, sign(body, secrets, stamp)

    async def send_raw(self, url: str, body: bytes, secrets: list[str]) -> tuple[int | None, str | None]:
        """Deliver any bytes, signed, once."""
        return await self._send(url, body, sign(body, secrets, self._world.clock.stamp()))

    async def _send(self, url: str, body: bytes, signature: str) -> tuple[int | None, str | None]:
        if self._session is None:
            raise RuntimeError("the outbox is not open")
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature,
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        timeout = aiohttp.ClientTimeout(total=self._world.settings.timeout_ms / 1000)
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                await answer.read()
                return answer.status, None if answer.status in _TWO_HUNDREDS else f"status {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return None, type(exc).__name__

    def _finish(self, delivery: Delivery, outcome: str, status: int | None, problem: str | None, took: float) -> None:
        self.waiting -= 1
        if outcome == "ok" and delivery.counted:
            delivery.event.pending -= 1
        self._write_log(delivery, outcome, status, problem, took)
        if self.waiting == 0:
            self.idle.set()
        if outcome == "failed":
            self._world.tally.deliveries["given_up"] += 1

    def _write_log(
        self, delivery: Delivery, outcome: str, status: int | None, problem: str | None, took: float
    ) -> None:
        self._world.tally.deliveries[outcome] += 1
        self.log.append({
            "event": delivery.event.id,
            "type": delivery.event.type,
            "object": delivery.event.object_id,
            "endpoint": delivery.endpoint.public["id"],
            "url": delivery.endpoint.public["url"],
            "attempt": delivery.attempt,
            "outcome": outcome,
            "status": status,
            "problem": problem,
            "took_ms": round(took * 1000, 2),
            "at": self._world.clock.now(),
        })  # fmt: skip


def _takes(endpoint: Endpoint, event: Event) -> bool:
    return endpoint.public["status"] == "enabled" and endpoint.wants(event.type)
