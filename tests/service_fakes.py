"""A world for the services: ledger, clock, both remote systems and three handlers, put together without a broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr

from hub.customer_sync import CustomerSyncs
from hub.directory import Directory, Snapshot
from hub.learned import LearnedFacts
from hub.ledger import Incarnation, Ledger
from hub.mapper import DocumentMapper
from hub.materials import MaterialsGatherer
from hub.outcomes import Outcomes
from hub.redis import INCARNATION, build_redis
from hub.secrets import SecretBox
from hub.stage.ports import Failure, Handler, Outgoing, Publisher, describe
from hub.usage import Usage
from hub.waiting import RedisWaitingSet
from schemas.connections import Connection
from schemas.errors import HubError, Refused, RetryLater, RetrySoon
from schemas.messages import ContactResolved, InvoiceResult, Message, MetadataUpdated, StripeEventReceived
from schemas.settings import Settings
from services.contacts.follower import CustomerFollower
from services.contacts.handler import ContactsHandler
from services.contacts.index import CustomerIndex
from services.contacts.resolver import CustomerResolver
from services.contacts.search import CustomerSearch
from services.ingest.head import Head, Turns
from services.invoices.handler import InvoicesHandler
from services.metadata_writer.handler import MetadataHandler
from services.metadata_writer.numbers import NumberWriter
from tests.builders import NOW, SETTINGS, build_connection, build_secrets
from tests.fakes import FakeClock
from tests.remote_fakes import DyingRedis, FakeBc, FakeStripe, Steps


class Remotes:
    """One Stripe account and one Business Central company for all connections."""

    def __init__(self, stripe: FakeStripe, bc: FakeBc) -> None:
        self._stripe = stripe
        self._bc = bc
        self.priorities: list[str] = []
        """Of those who asked for Business Central: `live` or `history`."""

    def stripe(self, snapshot: Snapshot) -> FakeStripe:
        return self._stripe

    def business_central(self, snapshot: Snapshot, *, live: bool) -> FakeBc:
        self.priorities.append("live" if live else "history")
        return self._bc


@dataclass
class WrongClock:
    """A machine's clock: right, but for `ahead`."""

    true: FakeClock
    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return self.true.now() + self.ahead

    def monotonic(self) -> float:
        return self.true.monotonic()


class World:
    """Ledger, clock, both remote systems, and the three handlers; messages are carried between them by hand.

    `bring` takes one message as far as it comes without waiting; `settle` goes on, through waits, until it has ended.
    """

    def __init__(self, redis_url: str, *, replicas: int = 0, gatherer: MaterialsGatherer | None = None) -> None:
        self.clock = FakeClock(NOW)
        """The true time, which Redis and the remote systems know; the services' own clock may be wrong."""
        self.own_clock = WrongClock(self.clock)
        self.steps = Steps()
        self.plain_redis = build_redis(redis_url)
        redis = DyingRedis(self.plain_redis, self.steps, self.clock)
        self.ledger = Ledger(redis, replicas=replicas)
        self.directory = Directory(redis, SecretBox([SecretStr("a key for the tests")]), self.clock)
        self.usage = Usage(redis)
        self.stripe = FakeStripe(self.steps)
        self.bc = FakeBc(self.steps, self.clock)
        remotes = self.remotes = Remotes(self.stripe, self.bc)
        self.mapper = DocumentMapper(gatherer or MaterialsGatherer(), LearnedFacts(redis))
        self.syncs = CustomerSyncs(redis)
        self.contacts = self.build_contacts()
        self.invoices = InvoicesHandler(
            directory=self.directory,
            ledger=self.ledger,
            remotes=remotes,
            mapper=self.mapper,
            outcomes=Outcomes(self.ledger, self.own_clock, "invoices"),
            usage=self.usage,
            clock=self.own_clock,
        )
        self.metadata = MetadataHandler(
            self.directory, self.ledger, remotes, NumberWriter(self.ledger, self.syncs), self.own_clock
        )
        self.connection = build_connection()
        self.results: list[InvoiceResult] = []
        self.updates: list[MetadataUpdated] = []
        self.waits: list[HubError] = []

    def build_contacts(self) -> ContactsHandler:
        """Build the handler of a process: two of them share the ledger and nothing else."""
        search = self.build_search()
        return ContactsHandler(
            self.directory,
            self.ledger,
            self.remotes,
            self.mapper,
            CustomerResolver(self.ledger, self.syncs, search, self.own_clock, self.ledger.lease_life),
            CustomerFollower(self.ledger, self.syncs, search, self.own_clock),
            Outcomes(self.ledger, self.own_clock, "contacts"),
            self.usage,
            self.own_clock,
        )

    def build_search(self) -> CustomerSearch:
        index = CustomerIndex(self.ledger.redis, self.own_clock, self.ledger.lease_life)
        return CustomerSearch(index, self.mapper.gatherer, self.mapper.learned)

    async def open(
        self,
        connection: Connection | None = None,
        settings: Settings = SETTINGS,
        *,
        born: datetime | None = None,
        proved: bool = True,
    ) -> Connection:
        """Add a connection, to a ledger that was born long ago unless told otherwise."""
        chosen = connection or self.connection
        await self.begin_life(born or NOW - timedelta(days=90))
        await self.directory.add(chosen, build_secrets(), settings)
        if proved:
            await self.directory.save_proved(chosen.id)
        self.connection = chosen
        return chosen

    async def begin_life(self, at: datetime) -> None:
        life = Incarnation(id=f"life of {at.isoformat()}", born_at=at)
        await self.plain_redis.set(INCARNATION, life.model_dump_json())

    async def lose_ledger(self) -> None:
        """Forget everything but the connection, as a Redis that came back empty; its new life begins now."""
        settings = (await self.directory.load(self.connection.id)).settings
        await self.plain_redis.flushdb()
        await self.open(self.connection, settings, born=self.clock.now(), proved=False)

    async def expire_leases(self) -> None:
        """Let the time pass that a lease lives."""
        self.clock.move(self.ledger.lease_life)
        async for key in self.plain_redis.scan_iter("*:lease:*"):
            await self.plain_redis.delete(key)

    async def close(self) -> None:
        await self.plain_redis.aclose(close_connection_pool=True)

    async def bring(
        self, message: StripeEventReceived | ContactResolved, contacts: ContactsHandler | None = None
    ) -> HubError | None:
        """Take a message and what follows from it through the services; returns what it waits for, if it does."""
        if isinstance(message, ContactResolved):
            return await self._run(self.invoices, message)
        return await self._run(contacts or self.contacts, message)

    def build_head_writer(self, publisher: Publisher) -> Head:
        """Build ingest's way to the head topic."""
        redis = self.plain_redis
        return Head(self.ledger, publisher, RedisWaitingSet(redis), Turns(redis), self.clock)

    async def settle(self, message: StripeEventReceived, rounds: int = 60) -> InvoiceResult | None:
        """Bring a message round until it waits no more; returns the last result told."""
        told = len(self.results)
        for _ in range(rounds):
            error = await self.bring(message)
            if error is None:
                return self.results[-1] if len(self.results) > told else None
            wait = error.retry_after if isinstance(error, RetryLater | RetrySoon) else None
            self.clock.move((wait or timedelta(seconds=5)) + timedelta(milliseconds=1))
            cause = message.cause if message.cause == "replay" else "retry"
            message = message.model_copy(update={"cause": cause})
        raise AssertionError(f"still waiting after {rounds} rounds: {self.waits[-1]}")

    async def _run(self, handler: Handler[Any], message: Message) -> HubError | None:
        try:
            outgoing = await handler.handle(message)
        except HubError as error:
            return await self._end(handler, message, error)
        return await self._carry(outgoing)

    async def _end(self, handler: Handler[Any], message: Message, error: HubError) -> HubError | None:
        """As the runtime does: what a person must act on is final, the rest waits."""
        if isinstance(error, RetrySoon | RetryLater) or error.kind == "blocked":
            self.waits.append(error)
            await self._carry(await handler.report(message, Failure(describe(error), self.clock.now())))
            return error
        await self._carry(await handler.report(message, Failure(describe(error))))
        if not isinstance(error, Refused):
            raise error
        return None

    async def _carry(self, outgoing: Sequence[Outgoing]) -> HubError | None:
        waits: HubError | None = None
        for one in outgoing:
            self.steps.step()
            message = one.message
            if isinstance(message, MetadataUpdated):
                self.updates.append(message)
                continue
            if isinstance(message, InvoiceResult):
                self.results.append(message)
            handler: Handler[Any] = self.metadata if isinstance(message, InvoiceResult) else self.invoices
            assert isinstance(message, Message)
            waits = await self._run(handler, message) or waits
        return waits
