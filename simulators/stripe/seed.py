"""Bulk data: realistic invoices whose exclusive tax is exact on every line unless told otherwise."""

import asyncio
import random
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any, Literal, get_args

from simulators.stripe import invoice_items, invoices, lifecycle
from simulators.stripe.catalog import add_price, add_product, add_tax_rate
from simulators.stripe.currencies import is_known_currency, payable_step
from simulators.stripe.customers import add_customer
from simulators.stripe.drafts import recompute
from simulators.stripe.events import emit
from simulators.stripe.state import Context, Json, Realm, World

Mode = Literal["finalize", "send", "pay"]
_BREATHE_EVERY = 20  # let API requests in between while data is made
_GOODS = (
    "Consulting day", "Onboarding workshop", "Support plan", "Seat licence", "Data export", "Hosting, monthly",
    "Hardware kit", "Training, remote", "Custom report", "Integration set-up", "Storage, 100 GB", "API calls, 10k",
)  # fmt: skip
_PLACES = (
    ("Copenhagen", "DK", "1550"), ("Aarhus", "DK", "8000"), ("Hamburg", "DE", "20095"), ("Malmö", "SE", "211 20"),
    ("Utrecht", "NL", "3511"), ("Wien", "AT", "1010"),
)  # fmt: skip
_NAMES = ("Nordlys", "Bæk & Søn", "Lindqvist", "Van Dijk", "Müller", "Åkesson", "Hav & Land", "Østergaard")
_FORMS = ("ApS", "A/S", "GmbH", "AB", "B.V.", "KG")


@dataclass(frozen=True, slots=True)
class BulkOrder:
    """What to make."""

    invoices: int
    seed: int = 0
    account: str | None = None
    livemode: bool = False
    currency: str = "eur"
    customers: int = 10
    tax_rate: str | None = "25"
    per_second: float | None = None
    mode: Mode = "finalize"
    exact: bool = True
    wait: bool = False
    max_lines: int = 5
    country: str | None = None
    """Where all customers live; None spreads them. Tax elsewhere depends on it, so totals do."""
    reuse: bool = False
    """Take the first customers that the account has, as far as there are enough of them."""

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode) or not is_known_currency(self.currency):
            raise ValueError("mode is finalize, send or pay; the currency must be one Stripe knows")
        if self.invoices < 1 or self.customers < 1 or self.max_lines < 1:
            raise ValueError("invoices, customers and max_lines must be at least 1")
        if self.country is not None and all(self.country != place[1] for place in _PLACES):
            raise ValueError("the country must be one that the made-up customers live in")


@dataclass(slots=True)
class BulkJob:
    """The state of one order."""

    id: str
    order: BulkOrder
    ids: list[str]
    customers: list[str]
    done: int = 0
    error: str | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def shown(self) -> Json:
        """Render for the admin answers."""
        return {
            "job": self.id,
            "ids": self.ids,
            "customers": self.customers,
            "done": self.done,
            "total": len(self.ids),
            "finished": self.done == len(self.ids),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class _Catalog:
    prices: list[Json]
    tax_rates: list[str]


class BulkMaker:
    """Makes drafts at once and moves them on at the asked rate."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.jobs: dict[str, BulkJob] = {}

    async def start(self, realm: Realm, order: BulkOrder) -> BulkJob:
        """Make customers and drafts, then move them on, in the background unless `wait`."""
        rng = random.Random(order.seed)
        customers = await self._customers(realm, order, rng)
        catalog = self._catalog(realm, order, rng)
        drafts: list[Json] = []
        for number in range(order.invoices):
            drafts.append(self._draft(realm, order, rng.choice(customers), catalog, rng))
            await _breathe(number)
        key = f"bulk_{len(self.jobs) + 1}"
        job = BulkJob(key, order, [draft["id"] for draft in drafts], [entry["id"] for entry in customers])
        self.jobs[key] = job
        job.task = asyncio.create_task(self._move_all(realm, job, drafts))
        if order.wait:
            await job.task
        return job

    async def close(self) -> None:
        """Stop jobs under way."""
        tasks = [job.task for job in self.jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _context(self, realm: Realm) -> Context:
        return Context(self._world, realm, self._world.ids.short("req"), self._world.ids.token(36))

    async def _customers(self, realm: Realm, order: BulkOrder, rng: random.Random) -> list[Json]:
        made: list[Json] = list(islice(realm.customers, order.customers)) if order.reuse else []
        for number in range(len(made), order.customers):
            made.append(add_customer(self._context(realm), _customer_params(number, rng, order.country)))
            await _breathe(number)
        return made

    def _catalog(self, realm: Realm, order: BulkOrder, rng: random.Random) -> _Catalog:
        """Make prices whose every multiple carries whole tax: the step is the tax rate's denominator."""
        ctx = self._context(realm)
        percentage = None if order.tax_rate is None else Decimal(order.tax_rate)
        step = payable_step(order.currency) * (_exact_step(percentage) if order.exact and percentage else 1)
        prices = [
            add_price(ctx, {
                "currency": order.currency,
                "product": add_product(ctx, {"name": name})["id"],
                "unit_amount": max(1, rng.randint(500, 90_000) // step) * step,
            })
            for name in _GOODS
        ]  # fmt: skip
        if percentage is None:
            return _Catalog(prices, [])
        rate = add_tax_rate(ctx, {"display_name": "VAT", "percentage": percentage, "inclusive": False})
        return _Catalog(prices, [rate["id"]])

    def _draft(self, realm: Realm, order: BulkOrder, customer: Json, catalog: _Catalog, rng: random.Random) -> Json:
        ctx = self._context(realm)
        terms: Json = {"auto_advance": True}
        if order.mode != "pay":
            terms = {"collection_method": "send_invoice", "days_until_due": 14}
        invoice = invoices.add_draft(ctx, customer, order.currency, terms)
        for price in rng.choices(catalog.prices, k=rng.randint(1, order.max_lines)):
            given = {"pricing": {"price": price["id"]}, "quantity": rng.randint(1, 12), "tax_rates": catalog.tax_rates}
            item = invoice_items.make_item(ctx, customer["id"], order.currency, given)
            realm.items.add(item.public["id"], item)
            invoice_items.attach(ctx, invoice, item)
        recompute(realm, invoice)
        emit(ctx, [("invoice.created", None)], invoice)
        return invoice

    async def _move_all(self, realm: Realm, job: BulkJob, drafts: list[Json]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            for number, draft in enumerate(drafts):
                if job.order.per_second:
                    await _until(loop, started + number / job.order.per_second)
                self._move(realm, draft, job.order.mode)
                job.done += 1
                await _breathe(number)
        except Exception as exc:
            job.error = f"{type(exc).__name__}: {exc}"
            raise

    def _move(self, realm: Realm, draft: Json, mode: Mode) -> None:
        if draft["status"] != "draft":  # someone was faster through the API
            return
        ctx = self._context(realm)
        if mode == "send":
            lifecycle.send_invoice(ctx, draft)
            return
        lifecycle.finalize_draft(ctx, draft)
        if mode == "pay" and lifecycle.is_payable(draft):
            lifecycle.pay_invoice(Context(self._world, realm), draft, out_of_band=False)


def _exact_step(percentage: Decimal) -> int:
    """Return the smallest amount whose tax is whole; 25 % gives 4, 19 % gives 100."""
    return (Fraction(percentage) / 100).denominator


def _customer_params(number: int, rng: random.Random, wanted: str | None) -> dict[str, Any]:
    city, country, post = rng.choice([place for place in _PLACES if wanted in {None, place[1]}])
    name = f"{rng.choice(_NAMES)} {number:04d} {rng.choice(_FORMS)}"
    return {
        "name": name,
        "email": f"invoice+{number}@customer{rng.randint(1, 10**6)}.example",
        "phone": f"+45 {rng.randint(10**7, 10**8 - 1)}",
        "address": {"line1": f"Havnegade {rng.randint(1, 200)}", "city": city, "country": country, "postal_code": post},
        "tax_id_data": [{"type": "eu_vat", "value": f"{country}{rng.randint(10**7, 10**8 - 1)}"}],
        "metadata": {"crm_id": f"C-{number:05d}"},
        "preferred_locales": ["da"],
    }


async def _breathe(number: int) -> None:
    if number % _BREATHE_EVERY == 0:
        await asyncio.sleep(0)


async def _until(loop: asyncio.AbstractEventLoop, moment: float) -> None:
    if (left := moment - loop.time()) > 0:
        await asyncio.sleep(left)
