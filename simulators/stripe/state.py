"""What the simulator remembers: accounts, their test and live realms, and the counters of the whole world."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from simulators.stripe.clock import Clock
from simulators.stripe.ids import IdMaker
from simulators.stripe.shelf import Shelf
from simulators.stripe.versions import CURRENT

Json = dict[str, Any]


@dataclass(slots=True)
class Event:
    """One event; the object is kept as the bytes of its creation and never changes (Stripe facts §5)."""

    id: str
    type: str
    created: int
    livemode: bool
    account: str
    object_id: str | None
    object_json: bytes
    previous_json: bytes | None
    request_id: str | None
    idempotency_key: str | None
    pending: int = 0


@dataclass(slots=True)
class Endpoint:
    """A registered webhook endpoint with its living secrets, oldest first."""

    public: Json
    secrets: list[str]
    connect: bool
    every: bool
    types: frozenset[str]

    def wants(self, kind: str) -> bool:
        """Tell whether events of this type go to the endpoint."""
        return self.every or kind in self.types


@dataclass(slots=True)
class Item:
    """An invoice item with the line it becomes; both are replaced, never changed in place."""

    public: Json
    line: Json
    tax_rates: list[str]
    discounts: list[str]


@dataclass(slots=True)
class Settings:
    """What a test may switch at run time through `/_sim/settings`."""

    auto_send: bool = False  # facts §38: live Stripe ties invoice.sent to the mail
    retry_base_ms: int = 500
    max_attempts: int = 8
    timeout_ms: int = 10_000
    null_metadata: bool = False
    """Whether empty metadata are null, as Stripe's types allow."""
    concurrency: int = 32


class Realm:
    """One account in one mode: test and live never see each other."""

    def __init__(self, account: "Account", *, livemode: bool) -> None:
        self.account = account
        self.livemode = livemode
        self.customers: Shelf[Json] = Shelf()
        self.deleted_customers: set[str] = set()
        self.tax_ids: dict[str, Shelf[Json]] = {}
        self.products: Shelf[Json] = Shelf()
        self.prices: Shelf[Json] = Shelf()
        self.tax_rates: Shelf[Json] = Shelf()
        self.coupons: Shelf[Json] = Shelf()
        self.shipping_rates: Shelf[Json] = Shelf()
        self.discounts: Shelf[Json] = Shelf()
        self.items: Shelf[Item] = Shelf()
        self.pending_items: dict[str, list[Item]] = {}
        self.invoices: Shelf[Json] = Shelf()
        self.invoice_items: dict[str, list[Item]] = {}
        self.drafts: dict[str, dict[str, Json]] = {}
        self.tiers: dict[str, list[Json]] = {}
        self.shipping_taxes: dict[str, list[Json]] = {}
        self.credit_notes: Shelf[Json] = Shelf()
        self.payments: Shelf[Json] = Shelf()
        self.payments_of: dict[str, list[Json]] = {}
        self.events: Shelf[Event] = Shelf()
        self.endpoints: Shelf[Endpoint] = Shelf()
        self.meter_events: dict[str, Json] = {}
        self.last_number = 0


class Account:
    """A Stripe account with its keys; `platform` names the account it is connected to."""

    def __init__(
        self,
        key: str,
        *,
        name: str,
        country: str,
        currency: str,
        prefix: str,
        platform: str | None,
        timezone: str | None = "Etc/UTC",
    ) -> None:
        self.id = key
        self.name = name
        self.country = country
        self.currency = currency
        self.prefix = prefix
        self.platform = platform
        self.timezone = timezone
        self.keys: list[str] = []
        self.test = Realm(self, livemode=False)
        self.live = Realm(self, livemode=True)

    def realm(self, *, livemode: bool) -> Realm:
        """Return the data of one mode."""
        return self.live if livemode else self.test


@dataclass(slots=True)
class Tally:
    """What happened so far, for `/_sim/state`."""

    requests: Counter[str] = field(default_factory=Counter[str])
    statuses: Counter[str] = field(default_factory=Counter[str])
    deliveries: Counter[str] = field(default_factory=Counter[str])
    metadata_writes: int = 0
    metadata_writes_without_change: int = 0
    idempotent_replays: int = 0


class World:
    """Everything behind one simulator process."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.clock = Clock()
        self.ids = IdMaker()
        self.accounts: dict[str, Account] = {}
        self.keys: dict[str, tuple[Account, bool]] = {}
        self.tally = Tally()
        self.default_version = CURRENT
        self.publish: Callable[[Realm, Event], None] = _publish_nowhere


def _publish_nowhere(_realm: Realm, _event: Event) -> None:
    """Stand in until the outbox is open."""


@dataclass(slots=True)
class Context:
    """Where a change happens and which request caused it (both ids None: Stripe itself)."""

    world: World
    realm: Realm
    request_id: str | None = None
    idempotency_key: str | None = None
    # The object of the last event and its bytes: most answers are just that, and encoding is the dearest step.
    dumped: tuple[Json, bytes] | None = None


@dataclass(slots=True)
class Call(Context):
    """One request on its way to a handler: checked parameters and the ids from its path."""

    params: Json = field(default_factory=Json)
    args: list[str] = field(default_factory=list[str])
