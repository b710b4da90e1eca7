"""Stripe's API as the hub uses it: invoices with all their lines, customers, events, and the write of metadata.

Answers are read raw and validated straight into our models, without stripe-python's objects.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import TypeAdapter

from connectors.stripe.channel import API_VERSION, Answer, Channel, Exchange, OnAnswer, ignore_answer
from connectors.stripe.deadlines import Deadlines
from connectors.stripe.errors import Call, CursorExpired, Subject, build_unreadable
from connectors.stripe.metadata import MAX_KEY, MAX_VALUE, is_valid_key, is_valid_value
from connectors.stripe.models import AccountBody, MetadataBody, MetadataWritten, StripeAccount
from connectors.stripe.pages import PAGE_SIZE, Page, walk_newer, walk_older
from connectors.stripe.transport import StripeHttp
from schemas.errors import Blocked, Refused, RetrySoon
from schemas.stripe_objects import CreditNote, Customer, Event, Invoice, Line, Price, Product, StripeObject, TaxRate

__all__ = ["API_VERSION", "MetadataWritten", "StripeApi"]

Parsed = TypeVar("Parsed")
Found = TypeVar("Found", bound=StripeObject)

_EVENT = TypeAdapter(Event)

_MOST_TYPES = 20
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
_KEY_MODE = re.compile(r"(?:sk|rk|ek)_(?:org_)?(live|test)_")
# A customer's id may have been chosen by the merchant in earlier years; all others are Stripe's.
# Merchants may choose these ids themselves.
_CHOSEN_ID = re.compile(r"(?!\.+$)[^\s/?#\x00-\x1f]{1,255}")
_ID_FORMS: dict[str, re.Pattern[str]] = {
    "invoice": re.compile(r"in_[A-Za-z0-9_]{1,250}"),
    "event": re.compile(r"evt_[A-Za-z0-9_]{1,250}"),
    "customer": _CHOSEN_ID,
    "product": _CHOSEN_ID,
    "price": _CHOSEN_ID,
    "tax rate": re.compile(r"txr_[A-Za-z0-9_]{1,250}"),
}
# Stripe names the tax of shipping only where it is asked for (Stripe facts 8).
_INVOICE_EXPAND = {"expand": ["shipping_cost.taxes"]}


class StripeApi:
    """One Stripe account in one mode. Cheap to make; the connections are the transport's, which the caller closes.

    Every method raises of `schemas.errors`: RetrySoon (connection, time-out, conflict), RetryLater (rate limit, not
    available), Blocked (key, permission, address), Refused (a person must act); and a plain HubError for a defect.
    Nothing is ever in doubt: reading changes nothing, and writes carry idempotency keys.
    """

    def __init__(
        self,
        *,
        key: str,
        api_base: str | None,
        account: str | None,
        http: StripeHttp,
        deadlines: Deadlines | None = None,
        on_answer: OnAnswer = ignore_answer,
    ) -> None:
        """Bind a key to a transport; nothing is sent.

        Args:
            key: Secret or restricted API key.
            api_base: Address of the API, None for Stripe's own.
            account: The connected account to act for, if the key is a platform's.
            http: The process's shared transport.
            deadlines: Total times per call.
            on_answer: Called at each successful answer.

        Raises:
            Blocked: the key can't be one.
        """
        self._key = key.strip()
        if not re.fullmatch(r"[!-~]{1,500}", self._key):
            raise _build_malformed_key()
        self._channel = Channel(
            key=self._key,
            api_base=api_base,
            account=account,
            http=http,
            deadlines=deadlines or Deadlines(),
            on_answer=on_answer,
        )

    async def fetch_invoice(self, invoice_id: str) -> Invoice | None:
        """Return the invoice with all its lines, or None if it does not exist.

        Raises:
            Refused: the id can't be an invoice's, or the invoice belongs to the other mode.
            RetrySoon: the lines changed while they were read.
        """
        call = _build_call("invoice", invoice_id)
        try:
            async with self._channel.exchange(call) as exchange:
                answer = await exchange.get(f"/v1/invoices/{invoice_id}", **_INVOICE_EXPAND)
                invoice = _parse(call, Invoice.model_validate, answer)
                return await _complete_lines(exchange, call, invoice) if invoice.lines.has_more else invoice
        except Refused as error:
            return _require_absence(error, call)

    async def fetch_customer(self, customer_id: str) -> Customer | None:
        """Return the customer with its tax ids, or None if it does not exist or was deleted."""
        found = await self._fetch("customer", "customers", customer_id, Customer, expand=["tax_ids"])
        return None if found is None or found.deleted else found

    async def fetch_product(self, product_id: str) -> Product | None:
        """Return the product, or None if it does not exist (any more)."""
        found = await self._fetch("product", "products", product_id, Product)
        return None if found is None or found.deleted else found

    async def fetch_price(self, price_id: str) -> Price | None:
        """Return the price, or None if it does not exist."""
        return await self._fetch("price", "prices", price_id, Price)

    async def fetch_tax_rate(self, tax_rate_id: str) -> TaxRate | None:
        """Return the tax rate, or None if it does not exist."""
        return await self._fetch("tax rate", "tax_rates", tax_rate_id, TaxRate)

    async def _fetch(
        self, subject: Subject, collection: str, object_id: str, model: type[Found], **params: Any
    ) -> Found | None:
        call = _build_call(subject, object_id)
        try:
            async with self._channel.exchange(call) as exchange:
                answer = await exchange.get(f"/v1/{collection}/{quote(object_id, safe='')}", **params)
                return _parse(call, model.model_validate, answer)
        except Refused as error:
            return _require_absence(error, call)

    async def fetch_event(self, event_id: str) -> Event | None:
        """Return the event as it was made, or None if Stripe has it no longer (30 days)."""
        call = _build_call("event", event_id)
        try:
            async with self._channel.exchange(call) as exchange:
                return _parse(call, _EVENT.validate_python, await exchange.get(f"/v1/events/{event_id}"))
        except Refused as error:
            return _require_absence(error, call)

    async def fetch_account(self) -> StripeAccount:
        """Return whom the key (or the connected account) is, and the key's mode.

        Raises:
            Blocked: the key is refused, or tells no mode.
        """
        mode = _KEY_MODE.match(self._key)
        if mode is None:
            raise _build_malformed_key()
        call = Call("GET", "account", "Account: Read")
        async with self._channel.exchange(call) as exchange:
            body = AccountBody.model_validate((await exchange.get("/v1/account")).data)
        return StripeAccount(
            id=body.id,
            livemode=mode[1] == "live",
            name=body.find_name(),
            country=body.country,
            time_zone=body.find_time_zone(),
        )

    async def list_events(
        self,
        *,
        types: Sequence[str],
        after: str | None = None,
        created_gte: int | None = None,
        limit_pages: int | None = None,
    ) -> AsyncIterator[Event]:
        """Yield events of these types, oldest first.

        Events may become visible slightly out of order: look back by some minutes, and drop what was seen. The account
        asked is not always named in them.

        Args:
            types: At most 20 exact names.
            after: The event to go on after.
            created_gte: Unix seconds; without `after` and this, it begins with the oldest of 30 days.
            limit_pages: Stop after so many pages of at most 100; go on later with the last event's id as `after`.

        Raises:
            CursorExpired: Stripe no longer knows the event `after`.
        """
        if not 0 < len(types) <= _MOST_TYPES:
            raise ValueError(f"give 1 to {_MOST_TYPES} event types")

        async def fetch(**filters: Any) -> Page[Event]:
            return await self._fetch_page(Page[Event], "event", "/v1/events", types=list(types), **filters)

        pages = 0
        try:
            async for events in walk_newer(fetch, after=after, created_gte=created_gte):
                for event in events:
                    yield event
                pages += 1
                if pages == limit_pages:
                    return
        except Refused as error:
            if _is_unknown_cursor(error):
                raise CursorExpired("Stripe no longer knows the event to go on after") from error
            raise

    async def list_invoices(
        self,
        *,
        created_gte: int | None = None,
        created_lt: int | None = None,
        status: str | None = None,
        customer: str | None = None,
        collection_method: str | None = None,
    ) -> AsyncIterator[Invoice]:
        """Yield invoices, newest first. Each has at most its first ten lines (`lines.has_more`): fetch it to have all.

        Args:
            created_gte: Unix seconds of the creation of the draft, not of finalization.
            created_lt: Unix seconds.
            status: draft, open, paid, uncollectible or void.
            customer: A customer's id.
            collection_method: charge_automatically or send_invoice.
        """
        created = _drop_none({"gte": created_gte, "lt": created_lt})
        filters = _drop_none(
            {
                "created": created or None,
                "status": status,
                "customer": customer,
                "collection_method": collection_method,
            }
        )

        async def fetch(**cursor: Any) -> Page[Invoice]:
            return await self._fetch_page(Page[Invoice], "invoice", "/v1/invoices", **cursor)

        async for page in walk_older(fetch, **filters):
            for invoice in page.data:
                yield invoice

    async def list_credit_notes(self, invoice_id: str) -> tuple[CreditNote, ...]:
        """Return the credit notes of an invoice, newest first, void ones among them.

        Raises:
            Blocked: the key may not read them (`stripe.credentials.forbidden`), among others.
        """

        async def fetch(**cursor: Any) -> Page[CreditNote]:
            return await self._fetch_page(Page[CreditNote], "credit note", "/v1/credit_notes", **cursor)

        return tuple([note async for page in walk_older(fetch, invoice=invoice_id) for note in page.data])

    async def update_invoice_metadata(
        self, invoice_id: str, changes: Mapping[str, str], *, idempotency_key: str
    ) -> MetadataWritten:
        """Merge changes into the invoice's metadata; an empty value deletes its key. Repeating it is safe.

        Stripe remembers a key and its answer, even a failure of its own, for at least 24 hours: derive the key from
        invoice and contents, and change it with each new attempt (`idempotent_replayed` in an error's context).

        Raises:
            Refused: the invoice is gone (`stripe.invoice.missing`), or Stripe's limits are exceeded.
            ValueError: there is nothing to write, or the idempotency key is none.
        """
        call = _build_call("invoice", invoice_id, method="POST")
        return await self._write_metadata(call, f"/v1/invoices/{invoice_id}", changes, idempotency_key)

    async def update_customer_metadata(
        self, customer_id: str, changes: Mapping[str, str], *, idempotency_key: str
    ) -> MetadataWritten:
        """Merge changes into the customer's metadata, as `update_invoice_metadata`.

        Raises:
            Refused: the customer is gone (`stripe.customer.missing`), or Stripe's limits are exceeded.
            Blocked: the key may not write customers (`stripe.credentials.forbidden`), among others.
            ValueError: there is nothing to write, or the idempotency key is none.
        """
        call = _build_call("customer", customer_id, method="POST")
        path = f"/v1/customers/{quote(customer_id, safe='')}"
        return await self._write_metadata(call, path, changes, idempotency_key)

    async def _write_metadata(
        self, call: Call, path: str, changes: Mapping[str, str], idempotency_key: str
    ) -> MetadataWritten:
        _require_writable(changes, idempotency_key)
        async with self._channel.exchange(call) as exchange:
            answer = await exchange.post(path, idempotency_key=idempotency_key, metadata=dict(changes))
            body = MetadataBody.model_validate(answer.data)
        return MetadataWritten(metadata=body.metadata, request_id=answer.request_id)

    async def _fetch_page(self, model: type[Page[Any]], subject: Any, path: str, **params: Any) -> Any:
        call = Call("GET", subject, f"{subject.capitalize()}s: Read")
        async with self._channel.exchange(call) as exchange:
            return _parse_page(call, model, await exchange.get(path, limit=PAGE_SIZE, **params))


def _build_call(subject: Subject, object_id: str, method: Any = "GET") -> Call:
    """Build the call, refusing ids that are none: an empty one would turn the address into that of the list."""
    if not _ID_FORMS[subject].fullmatch(object_id):
        raise Refused(
            f"{object_id[:60]!r} is not the id of a Stripe {subject}.",
            code=f"stripe.{subject}.bad_id",
            fix=f"Give the id that Stripe shows for the {subject}.",
        )
    return Call(method, subject, f"{subject.capitalize()}s: {'Read' if method == 'GET' else 'Write'}", object_id)


def _build_malformed_key() -> Blocked:
    return Blocked(
        "The Stripe key has not the form of a secret or restricted key (sk_… or rk_…). "
        "Connect Stripe again in the hub with one.",
        code="stripe.credentials.malformed",
    )


def _require_absence(error: Refused, call: Call) -> None:
    if error.code != f"stripe.{call.subject}.missing":
        raise error


def _parse(call: Call, parse: Callable[[Any], Parsed], answer: Answer) -> Parsed:
    parsed = parse(answer.data)
    if getattr(parsed, "id", call.id) != call.id:
        raise build_unreadable(call, fields="id")
    return parsed


def _parse_page(call: Call, model: type[Page[Any]], answer: Answer) -> Page[Any]:
    page = model.model_validate(answer.data)
    if page.has_more and not page.data:
        # It would be asked for again, for ever.
        raise build_unreadable(call, fields="data")
    return page


async def _complete_lines(exchange: Exchange, call: Call, invoice: Invoice) -> Invoice:
    """Read the lines from the first on: the embedded ones may be of another moment."""

    async def fetch(**cursor: Any) -> Page[Line]:
        answer = await exchange.get(f"/v1/invoices/{invoice.id}/lines", limit=PAGE_SIZE, **cursor)
        return _parse_page(call, Page[Line], answer)

    pages = [page async for page in walk_older(fetch)]
    lines = tuple(line for page in pages for line in page.data)
    counts = {page.total_count for page in pages if page.total_count is not None}
    if len({line.id for line in lines}) != len(lines) or counts - {len(lines)}:
        raise RetrySoon(
            f"The lines of the invoice {invoice.id} changed while they were read.",
            code="stripe.invoice.lines_changed",
            context={"lines": str(len(lines)), "total_count": ",".join(map(str, sorted(counts)))},
        )
    whole = invoice.lines.model_copy(update={"data": lines, "has_more": False})
    return invoice.model_copy(update={"lines": whole})


def _is_unknown_cursor(error: Refused) -> bool:
    return error.context.get("param") == "ending_before" and error.context.get("provider_code") == "resource_missing"


def _require_writable(changes: Mapping[str, str], idempotency_key: str) -> None:
    """Apply Stripe's limits before sending.

    Raises:
        Refused: a metadata key or value is beyond them.
        ValueError: the call makes no sense.
    """
    if not changes:
        raise ValueError("there is no metadata to write")
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise ValueError("an idempotency key is 1 to 255 visible ASCII characters")
    for key, value in changes.items():
        if not is_valid_key(key):
            raise Refused(
                f"Stripe does not accept {key[:60]!r} as a metadata key (1 to {MAX_KEY} characters, no brackets).",
                code="stripe.metadata.bad_key",
                fix="Choose another metadata prefix in the hub's settings.",
            )
        if not is_valid_value(value):
            raise Refused(
                f"The metadata value of {key} is longer than Stripe's {MAX_VALUE} characters.",
                code="stripe.metadata.value_too_long",
                fix="Shorten what is written there.",
            )


def _drop_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
