"""Compares what the Stripe simulator holds with what the Business Central simulator and the ledger hold."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.chaos.world import Account, World
from hub.cli.demo.simulators import BC_COMPANY
from hub.ledger import InvoiceRecord, Ledger
from hub.redis import build_redis
from schemas.money import to_decimal
from schemas.topics import DEAD

Wrong = Literal[
    "lost", "doubled", "failed", "wrong total", "untrue status", "doubled customer", "orphan", "dead", "wrong usage"
]
_DUE = frozenset({"open", "paid"})
_STATUS, _NUMBER, _ID = "bc_status", "bc_invoice", "bc_invoice_id"


@dataclass(frozen=True)
class Offence:
    """One thing that is not as it ought to be. `about` is an invoice's id where there is one."""

    wrong: Wrong
    about: str
    words: str


@dataclass(frozen=True)
class Verdict:
    """How both sides compare after a run."""

    due: int
    drafts: int
    customers: int
    synced: int
    """Invoices whose metadata say `synced` and name the very draft."""
    offences: Sequence[Offence]

    @property
    def is_clean(self) -> bool:
        """Whether every due invoice has exactly its one right draft and says so, and every customer is there once."""
        return not self.offences and self.due == self.drafts == self.synced

    def count(self, wrong: Wrong) -> int:
        """Count the offences of one kind."""
        return sum(1 for one in self.offences if one.wrong == wrong)

    def __str__(self) -> str:
        """Say it in a line."""
        wrong = Counter(one.wrong for one in self.offences)
        told = ", ".join(f"{number} {name}" for name, number in wrong.items()) or "nothing wrong"
        return f"{self.due} due, {self.drafts} with a draft, {self.synced} told so, {told}"


@dataclass
class _Books:
    """Business Central's drafts by external document number."""

    drafts: dict[str, list[Mapping[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    customers: Sequence[Mapping[str, Any]] = ()


async def list_due(world: World) -> list[tuple[Account, Mapping[str, Any]]]:
    """List the invoices that must have a draft."""
    dump = await world.simulators.call(world.simulators.stripe, "GET", "dump")
    return [
        (account, invoice)
        for account in world.accounts
        for invoice in dump["accounts"][account.id]["invoices"]
        if invoice["status"] in _DUE
    ]


async def count_made_twice(world: World) -> dict[str, int]:
    """Count what Business Central was made to create more than once, by kind: also what was deleted since."""
    journal = await world.simulators.call(world.simulators.bc, "GET", "journal")
    made = Counter((one["request"], one["names"]) for one in journal if one["what"] == "carried out: 201")
    wanted = {"POST salesInvoices": "drafts", "POST customers": "customers"}
    return {
        kind: sum(1 for (its, name), times in made.items() if its == request and name and times > 1)
        for request, kind in wanted.items()
    }


async def check(world: World) -> Verdict:
    """Compare both sides, the ledger and the dead topic."""
    due = await list_due(world)
    books = await _read_books(world)
    offences: list[Offence] = []
    redis = build_redis(world.environment["HUB_REDIS_URL"])
    try:
        ledger, synced = Ledger(redis), 0
        for account, invoice in due:
            record = await ledger.load_invoice(account.connection, invoice["id"])
            found = list(_check_invoice(invoice, books.drafts[invoice["number"].upper()], record))
            synced += not any(one.wrong == "untrue status" for one in found)
            offences += found
    finally:
        await redis.aclose(close_connection_pool=True)
    offences += _check_customers(books.customers)
    numbers = {invoice["number"].upper() for _, invoice in due}
    offences += [
        Offence("orphan", number, f"{len(its)} drafts of no due invoice")
        for number, its in books.drafts.items()
        if number not in numbers
    ]
    offences += await _check_dead(world)
    drafts = sum(1 for _, invoice in due if books.drafts[invoice["number"].upper()])
    return Verdict(len(due), drafts, len(books.customers), synced, offences)


def _check_invoice(
    invoice: Mapping[str, Any], drafts: Sequence[Mapping[str, Any]], record: InvoiceRecord
) -> list[Offence]:
    key, metadata = invoice["id"], invoice["metadata"]
    status = metadata.get(_STATUS, "")
    found: list[Offence] = []
    if not drafts:
        found.append(Offence("lost", key, f"no draft; metadata say {status or 'nothing'}"))
    if len(drafts) > 1:
        found.append(Offence("doubled", key, f"drafts {', '.join(one['number'] for one in drafts)}"))
    if status == "failed":
        found.append(Offence("failed", key, metadata.get("bc_error", "")))
    found += [
        Offence("wrong total", key, f"{one['number']}: {one['totalAmountIncludingTax']}, not {invoice['total']}")
        for one in drafts
        if Decimal(str(one["totalAmountIncludingTax"])) != to_decimal(invoice["total"], invoice["currency"])
    ]
    if (untrue := _find_untruth(metadata, drafts, record)) is not None:
        found.append(Offence("untrue status", key, untrue))
    return found


def _find_untruth(
    metadata: Mapping[str, str], drafts: Sequence[Mapping[str, Any]], record: InvoiceRecord
) -> str | None:
    """Say where metadata, ledger and Business Central differ."""
    status, outcome = metadata.get(_STATUS), record.outcome
    if outcome is None or outcome.outcome != status:
        return f"Stripe says {status}, the ledger {outcome.outcome if outcome else 'nothing'}"
    if status != "synced":
        return f"{status} though all is quiet" if status == "pending" else None
    named = (metadata.get(_NUMBER), metadata.get(_ID))
    if all(named != (one["number"], one["id"]) for one in drafts):
        return f"Stripe names draft {named[0]}, which is none of {[one['number'] for one in drafts]}"
    if record.state.document is None or record.state.document.id != named[1]:
        return f"Stripe names draft {named[0]}, the ledger another"
    return None


def _check_customers(customers: Sequence[Mapping[str, Any]]) -> list[Offence]:
    met = Counter(one["email"] for one in customers if one["email"])
    return [Offence("doubled customer", email, f"{times} times") for email, times in met.items() if times > 1]


async def _read_books(world: World) -> _Books:
    dump = await world.simulators.call(world.simulators.bc, "GET", f"dump/{BC_COMPANY}")
    books = _Books(customers=dump["customers"])
    for draft in dump["salesInvoices"]:
        books.drafts[draft["externalDocumentNumber"]].append(draft)
    return books


async def _check_dead(world: World) -> list[Offence]:
    """Nothing that the bench does may end in the dead topic."""
    async with AIOKafkaConsumer(bootstrap_servers=world.bootstrap) as consumer:
        partitions = [TopicPartition(DEAD.name, number) for number in range(DEAD.partitions)]
        ends = await consumer.end_offsets(partitions)
    dead = sum(ends.values())
    return [Offence("dead", DEAD.name, f"{dead} messages")] if dead else []
