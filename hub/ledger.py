"""The ledger: what the hub knows of each invoice and customer. In Redis; every write that matters is fenced by a lease.

Protocol states of an invoice (docs/architecture.md has the diagram):

    none -> intent -> created -> synced -> deleted

`intent` is written right before the draft is requested, `created` when Business Central has answered with it, `synced`
when the draft's total equals Stripe's, `deleted` when a synced draft was found gone. The *outcome* (synced, failed,
pending, skipped, attention) is what people are told.
"""

import secrets
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from hub.document_owners import DocumentOwners, name_owner
from hub.intent import Intent, write_intent
from hub.lease import Lease, build_lease_lost, hold_lease
from hub.redis import (
    INCARNATION,
    READ_ENTRY,
    customer_link_key,
    customer_new_key,
    failed_key,
    invoice_key,
    invoice_lease_key,
    reading,
    run,
    untold_key,
    usage_key,
    usage_months_key,
    waiting_entries_key,
    waiting_key,
    woken_key,
)
from schemas.contract import Contract, Moment
from schemas.messages import BcDocument, CustomerMatch, ErrorDetail, Outcome, Wakeup

# Replies 0 when the lease is not ours any more. A first success counts as usage in the same breath.
_FENCED_SET = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'state', ARGV[2])
if KEYS[3] then
  redis.call('ZADD', KEYS[3], 'NX', ARGV[3], ARGV[4])
  redis.call('SADD', KEYS[4], ARGV[5])
end
return 1
"""

# A synced invoice keeps its outcome, unless the new one says something about that very draft. Replies 0 when it does.
# What waits is ended by the conclusion on the same event only: a later one may tell of a change not yet looked at.
_SET_OUTCOME = (
    READ_ENTRY
    + """
local over_synced = ARGV[4] == '1'
local state = redis.call('HGET', KEYS[1], 'state')
if not over_synced and state and string.find(state, '"phase":"synced"', 1, true) then return 0 end
redis.call('HSET', KEYS[1], 'outcome', ARGV[1])
if ARGV[2] == 'failed' then redis.call('ZADD', KEYS[2], ARGV[5], ARGV[3]) else redis.call('ZREM', KEYS[2], ARGV[3]) end
redis.call('ZREM', KEYS[4], ARGV[3])
local entry = redis.call('HGET', KEYS[5], ARGV[3])
if entry and ARGV[2] ~= 'pending' then
  local kept, received = read(entry), cjson.decode(ARGV[6])
  local wakeup = kept and kept.wakeup
  if not kept or (wakeup.event_id == received.event_id and wakeup.occurred_at == received.occurred_at) then
    redis.call('ZREM', KEYS[3], ARGV[3])
    redis.call('HDEL', KEYS[5], ARGV[3])
  end
end
return 1
"""
)

# The life of the ledger, if it has one, and its own time.
_LOOK = "return {redis.call('GET', KEYS[1]), redis.call('TIME')}"

# A link that a person chose gives way to a person only. Replies the link that stands.
_SAVE_LINK = """
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if kept and ARGV[3] == '0' and cjson.decode(kept).pinned then return kept end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return ARGV[2]
"""
_DROP_LINK = """
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if kept and (ARGV[2] == '1' or not cjson.decode(kept).pinned) then redis.call('HDEL', KEYS[1], ARGV[1]) end
"""
_DOUBT_LINK = """
local kept = redis.call('HGET', KEYS[1], ARGV[1])
if kept then
  local link = cjson.decode(kept)
  link.doubted = true
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(link))
end
"""

Phase = Literal["none", "intent", "created", "synced", "deleted"]


class InvoiceState(Contract):
    """How far the one-draft protocol has come."""

    phase: Phase = "none"
    intent_at: Moment | None = None
    slot: str | None = None
    """The limiter's slot that stays taken while in doubt."""
    document: BcDocument | None = None
    etag: str | None = None
    """Of the draft as our own POST left it: it may be deleted only while it still has this."""
    has_remains: bool = False
    """Business Central refused the last request, and may have kept part of it: a header, or some of its lines."""
    strange_answer: str | None = None
    """The number of a document that was answered to our request and is not what we asked for: ours may be there too."""
    synced_at: Moment | None = None
    """The first success of the hub's own, which counts as usage; never changed after. None where a draft was taken over
    that the hub does not remember to have asked for."""


class InvoiceOutcome(Contract):
    """What people are told about an invoice, and what metadata must say."""

    outcome: Outcome
    document: BcDocument | None = None
    error: ErrorDetail | None = None
    reason: str = ""
    code: str = ""
    """Of the error or the reason, as in the catalogue; empty for a success that is told without one."""
    retry_at: Moment | None = None
    settings_version: int | None = None
    dry_run: bool = False
    decided_at: Moment


class InvoiceRecord(Contract):
    """All that the ledger holds about one invoice."""

    state: InvoiceState = InvoiceState()
    outcome: InvoiceOutcome | None = None
    sent_at: Moment | None = None
    backfilled_at: Moment | None = None
    """When a person asked for it although it is older than the go-live date."""
    closed_at: Moment | None = None
    """When the invoice was last seen voided, written off or deleted in Stripe; None while it stands."""
    metadata: dict[str, str] | None = None
    """What the hub last wrote to Stripe; None before the first write."""
    customer: str | None = None
    """The Stripe customer, where something is to be told of it."""

    @property
    def is_told_synced(self) -> bool:
        """Whether nothing is left to do: the draft is right, and people are told so."""
        return self.state.phase == "synced" and self.outcome is not None and self.outcome.outcome == "synced"


class Incarnation(Contract):
    """The life of this ledger. After a loss it begins anew, and older invoices may have drafts nobody remembers."""

    id: str
    born_at: Moment


class CustomerLink(Contract):
    """A Stripe customer's BC customer."""

    customer: CustomerMatch
    linked_at: Moment
    pinned: bool = False
    """Chosen by a person: never replaced by a rule."""
    doubted: bool = False
    """Business Central refused a draft for the customer: it is looked at before it is used again."""
    first_invoice: str = ""
    """The Stripe invoice that the customer was found or made for."""
    notes: tuple[str, ...] | None = None
    """What that invoice's people are told of it: it may go round again before its result tells them.

    None and not empty: Redis' own JSON would make an object of an empty list.
    """

    def recall_customer(self, invoice_id: str) -> CustomerMatch:
        """Return the customer for an invoice: whether it gets posting groups is learned from the first alone."""
        template_by = self.customer.template_by if invoice_id == self.first_invoice else ""
        return self.customer.model_copy(update={"how": "linked before", "template_by": template_by})

    def recall_notes(self, invoice_id: str) -> tuple[str, ...]:
        """Return what is to be told with an invoice: nothing but with the first."""
        return (self.notes or ()) if invoice_id == self.first_invoice else ()


@dataclass(frozen=True)
class Ledger:
    """Reads and writes records. All methods raise RetrySoon (`ledger.unavailable`) when Redis does not answer."""

    redis: Any
    lease_life: timedelta = timedelta(seconds=120)
    replicas: int = 0
    """How many replicas of Redis must have an intent before a request goes out."""

    async def load_invoice(self, connection: str, invoice_id: str) -> InvoiceRecord:
        """Load what is known; an empty record when nothing is."""
        key = invoice_key(connection, invoice_id)
        with reading(key):
            return _parse_record(await run(self.redis.hgetall(key)))

    def hold_invoice(self, connection: str, invoice_id: str) -> AbstractAsyncContextManager[Lease]:
        """Hold the invoice's lease for a block.

        Raises:
            RetrySoon: someone else holds it (`ledger.lease.taken`).
        """
        return hold_lease(self.redis, invoice_lease_key(connection, invoice_id), self.lease_life)

    async def save_state(
        self,
        lease: Lease,
        connection: str,
        invoice_id: str,
        state: InvoiceState,
        *,
        first_success: datetime | None = None,
    ) -> None:
        """Write the protocol state under the lease; a first success counts as usage of its month.

        Raises:
            RetrySoon: the lease has ended (`ledger.lease.lost`).
        """
        keys = [lease.key, invoice_key(connection, invoice_id)]
        args: list[Any] = [lease.token, state.model_dump_json(exclude_none=True)]
        if first_success is not None:
            month = name_month(first_success)
            keys += [usage_key(connection, month), usage_months_key(connection)]
            args += [first_success.timestamp(), invoice_id, month]
        if not await run(self.redis.eval(_FENCED_SET, len(keys), *keys, *args)):
            raise build_lease_lost(lease.key)

    async def write_intent(
        self, lease: Lease, connection: str, invoice_id: str, synced_at: datetime | None
    ) -> Intent[InvoiceState]:
        """Write that a draft is about to be requested, at Redis's time, and begin the lease's life anew.

        Raises:
            RetrySoon: the lease has ended (`ledger.lease.lost`).
        """
        intent = InvoiceState(phase="intent", synced_at=synced_at)
        keys = [invoice_key(connection, invoice_id)]
        return await write_intent(self.redis, [lease], keys, intent, replicas=self.replicas)

    def owners(self, company_key: str) -> DocumentOwners:
        """Return what is known of whose the documents of a BC company are."""
        return DocumentOwners(self.redis, company_key)

    async def claim_past(self, company_key: str, connection: str) -> None:
        """Claim what older versions of the hub have drafted for a connection, by its records; once."""
        owners = self.owners(company_key)
        if not await owners.is_past_unclaimed(connection):
            return
        cursor: int | None = None
        while cursor != 0:
            cursor, keys = await run(self.redis.scan(cursor or 0, match=invoice_key(connection, "*"), count=1_000))
            await owners.claim_all(await self._read_documents(connection, keys))
        await owners.end_past(connection)

    async def _read_documents(self, connection: str, keys: list[str]) -> dict[str, str]:
        """Return the documents that records name, and whose they are."""
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, "state")
            states: list[str | None] = await run(pipe.execute())
        return {
            document.id: name_owner(connection, key.removeprefix(invoice_key(connection, "")))
            for key, stored in zip(keys, states, strict=True)
            if stored and (document := InvoiceState.model_validate_json(stored).document) is not None
        }

    async def record_outcome(
        self, connection: str, received: Wakeup, outcome: InvoiceOutcome, *, over_synced: bool = False
    ) -> bool:
        """Write what people are told. Unless that is *pending*, the message it follows from waits no more.

        Returns False, and changes nothing, if the invoice is synced and `over_synced` is not set: a late failure of an
        earlier attempt must not hide a success.
        """
        invoice_id = received.object_id
        keys = (
            invoice_key(connection, invoice_id),
            failed_key(connection),
            waiting_key(connection),
            woken_key(connection),
            waiting_entries_key(connection),
        )
        args = (
            outcome.model_dump_json(exclude_none=True),
            outcome.outcome,
            invoice_id,
            "1" if over_synced or outcome.outcome == "synced" else "0",
            outcome.decided_at.timestamp(),
            received.model_dump_json(),
        )
        return bool(await run(self.redis.eval(_SET_OUTCOME, len(keys), *keys, *args)))

    async def record_sent(self, connection: str, invoice_id: str, at: datetime) -> None:
        """Remember that Stripe sent the invoice: only events tell, the invoice itself does not."""
        await run(self.redis.hsetnx(invoice_key(connection, invoice_id), "sent_at", at.isoformat()))

    async def record_backfilled(self, connection: str, invoice_id: str, at: datetime) -> None:
        """Remember that a person asked for the invoice, however old it is."""
        await run(self.redis.hset(invoice_key(connection, invoice_id), "backfilled_at", at.isoformat()))

    async def record_closed(self, connection: str, invoice_id: str, at: datetime | None) -> None:
        """Remember that the invoice does not stand any more in Stripe, or (None) that it does again.

        Written before the state is read, as the state is written before this is read: so whoever makes a draft at the
        same time, or whoever closes, sees the other.
        """
        key = invoice_key(connection, invoice_id)
        await run(
            self.redis.hdel(key, "closed_at") if at is None else self.redis.hset(key, "closed_at", at.isoformat())
        )

    async def record_metadata(self, connection: str, invoice_id: str, written: dict[str, str]) -> None:
        """Remember what Stripe's metadata say by our hand."""
        value = _MetadataField(value=written).model_dump_json()
        await run(self.redis.hset(invoice_key(connection, invoice_id), "metadata", value))

    async def record_untold(self, connection: str, invoice_id: str, why: str) -> None:
        """Remember that Stripe does not say, or not in full, what became of the invoice, and why."""
        await run(self.redis.hset(untold_key(connection), invoice_id, why))

    async def forget_untold(self, connection: str, invoice_id: str) -> None:
        """The invoice has been told after all, or there is nothing to tell any more."""
        await run(self.redis.hdel(untold_key(connection), invoice_id))

    async def load_untold(self, connection: str) -> dict[str, str]:
        """Load the invoices of which Stripe does not say all, and why."""
        return await run(self.redis.hgetall(untold_key(connection)))

    async def record_customer(self, connection: str, invoice_id: str, stripe_customer: str) -> None:
        """Remember whose invoice it is, for whoever tells something of the customer."""
        await run(self.redis.hset(invoice_key(connection, invoice_id), "customer", stripe_customer))

    async def list_failed(self, connection: str) -> list[str]:
        """List the failed invoices, oldest failure first."""
        return await run(self.redis.zrange(failed_key(connection), 0, -1))

    async def load_incarnation(self) -> Incarnation:
        """Return this ledger's life, beginning it if it has none: then the ledger is new, or was lost."""
        return (await self.load_life())[0]

    async def load_life(self) -> tuple[Incarnation, datetime]:
        """Return this ledger's life, as `load_incarnation`, and the time it is by Redis's own clock.

        Doubts are judged by this time alone: processes' clocks may differ.
        """
        life, now = await self.peek_life()
        if life is None:
            fresh = Incarnation(id=secrets.token_hex(8), born_at=now)
            await run(self.redis.set(INCARNATION, fresh.model_dump_json(), nx=True))
            life = Incarnation.model_validate_json(await run(self.redis.get(INCARNATION)))
        return life, now

    async def peek_life(self) -> tuple[Incarnation | None, datetime]:
        """Return what `load_life` does, without beginning a life: None if there is none yet."""
        stored, (seconds, micros) = await run(self.redis.eval(_LOOK, 1, INCARNATION))
        now = datetime.fromtimestamp(int(seconds), tz=UTC) + timedelta(microseconds=int(micros))
        with reading(INCARNATION):
            return Incarnation.model_validate_json(stored) if stored else None, now

    async def load_customer_link(self, connection: str, stripe_customer: str) -> CustomerLink | None:
        """Return the linked BC customer, if the Stripe customer has one."""
        key = customer_link_key(connection)
        with reading(f"{key}, field {stripe_customer}"):
            stored = await run(self.redis.hget(key, stripe_customer))
            return CustomerLink.model_validate_json(stored) if stored else None

    async def save_customer_link(self, connection: str, stripe_customer: str, link: CustomerLink) -> CustomerLink:
        """Link a Stripe customer. Returns the link that stands: one that a person chose gives way to no other."""
        args = (stripe_customer, link.model_dump_json(), "1" if link.pinned else "0")
        stands = await run(self.redis.eval(_SAVE_LINK, 1, customer_link_key(connection), *args))
        with reading(f"{customer_link_key(connection)}, field {stripe_customer}"):
            return CustomerLink.model_validate_json(stands)

    async def drop_customer_link(self, connection: str, stripe_customer: str, *, pinned: bool = False) -> None:
        """Forget a link; one that a person chose only where a person asks (`pinned`)."""
        args = (stripe_customer, "1" if pinned else "0")
        await run(self.redis.eval(_DROP_LINK, 1, customer_link_key(connection), *args))

    async def call_customer_new(self, connection: str, stripe_customer: str, *, is_new: bool = True) -> None:
        """Remember that a person has called a Stripe customer new; or that it is not, or no more."""
        change = self.redis.sadd if is_new else self.redis.srem
        await run(change(customer_new_key(connection), stripe_customer))

    async def is_customer_new(self, connection: str, stripe_customer: str) -> bool:
        """Tell whether a person has called a Stripe customer new: customers who differ from it are others."""
        return bool(await run(self.redis.sismember(customer_new_key(connection), stripe_customer)))

    async def doubt_customer_link(self, connection: str, stripe_customer: str) -> None:
        """Have the link checked before it is used again: Business Central refused its customer."""
        await run(self.redis.eval(_DOUBT_LINK, 1, customer_link_key(connection), stripe_customer))


def name_month(moment: datetime) -> str:
    """Name the calendar month that a moment counts in: `2026-11`, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m")


class _MetadataField(Contract):
    value: dict[str, str]


def _parse_record(fields: dict[str, str]) -> InvoiceRecord:
    return InvoiceRecord(
        state=InvoiceState.model_validate_json(fields["state"]) if "state" in fields else InvoiceState(),
        outcome=InvoiceOutcome.model_validate_json(fields["outcome"]) if "outcome" in fields else None,
        sent_at=datetime.fromisoformat(fields["sent_at"]) if "sent_at" in fields else None,
        backfilled_at=datetime.fromisoformat(fields["backfilled_at"]) if "backfilled_at" in fields else None,
        closed_at=datetime.fromisoformat(fields["closed_at"]) if "closed_at" in fields else None,
        metadata=_MetadataField.model_validate_json(fields["metadata"]).value if "metadata" in fields else None,
        customer=fields.get("customer"),
    )
