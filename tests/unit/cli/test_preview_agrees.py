"""For every case of `tests/cases/*.yaml`, the preview is what the services then write: customer, payload, notes."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.business_central.models import SalesInvoice
from hub.cli.preview import describe
from hub.cli.replay_plan import Preview
from hub.directory import Snapshot
from hub.ledger import CustomerLink
from hub.materials import USUAL_AGE, BcLists, MaterialsGatherer, StripeCatalog
from mapping.materials import Books, ListName, Materials
from mapping.sales_documents import LINES_FIELD, MappedDocument
from schemas.errors import Refused
from schemas.messages import InvoiceResult
from schemas.stripe_objects import Invoice
from tests.builders import NOW, build_books, build_connection, build_customer, build_head, build_match
from tests.service_fakes import World
from tests.unit.cli.test_replay_plan import build_planner
from tests.unit.mapping.test_cases import AREA, load_cases, read_invoice, read_learned, read_materials, read_settings


class CaseMaterials(MaterialsGatherer):
    """Gives what a case says, to whoever asks."""

    def __init__(self, materials: Materials) -> None:
        super().__init__()
        self.materials = materials

    async def gather(
        self,
        snapshot: Snapshot,
        invoice: Invoice,
        stripe: StripeCatalog,
        bc: BcLists,
        *,
        max_age: float = USUAL_AGE,
    ) -> Materials:
        return self.materials

    async def gather_books(
        self, snapshot: Snapshot, bc: BcLists, lists: frozenset[ListName], *, max_age: float = USUAL_AGE
    ) -> Books:
        return self.materials.books


async def open_world(redis_url: str, case: dict[str, Any], *, is_known: bool) -> AsyncGenerator[World]:
    """A world in which the case's invoice was finalized just now, for a customer that is there or not."""
    world = World(redis_url, gatherer=CaseMaterials(read_materials(case)))
    connection = build_connection(go_live=NOW - timedelta(days=3_650))
    await world.open(connection, read_settings(case), born=NOW - timedelta(days=3_650))
    invoice = read_invoice(case["invoice"])
    world.stripe.put(invoice)
    if is_known and invoice.customer:
        world.bc.customers.append(build_customer(taxAreaId=AREA))
        link = CustomerLink(customer=build_match(tax_area=AREA), linked_at=NOW)
        await world.ledger.save_customer_link(connection.id, invoice.customer, link)
        gross = case.get("customer", {}).get("prices_include_tax", False)
        learned, company = world.mapper.learned, connection.company_key
        await learned.save_gross_prices(company, build_match().id, gross=gross)
        await learned.save_vat(company, AREA, read_learned(case))
        world.bc.gross_prices = gross
    yield world
    await world.close()


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
@pytest.mark.parametrize("case", load_cases())
async def test_what_is_shown_is_what_is_written(redis_url: str, case: dict[str, Any], is_known: bool) -> None:
    async for world in open_world(redis_url, case, is_known=is_known):
        (invoice,) = world.stripe.invoices.values()
        shown = await (await build_planner(world)).preview(invoice)
        if shown.mapped is not None:
            answer_with_stripes_total(world, shown.mapped)

        result = await carry_out(world, invoice)

        if shown.due:
            assert result.outcome in {"skipped", "attention"}
            assert result.reason == shown.due or not shown.due
        elif shown.refusal is not None:
            assert result.error is not None
            assert (result.error.code, result.error.message) == (shown.refusal.code, shown.refusal.message)
            assert isinstance(shown.refusal, Refused)
            assert (result.error.fix, world.bc.created) == (shown.refusal.fix, [])
        else:
            check_written(world, shown, result)


def answer_with_stripes_total(world: World, mapped: MappedDocument) -> None:
    """Let Business Central add the tax that is foretold; what it makes of VAT is another test's."""
    lines = mapped.payload[LINES_FIELD[mapped.kind]]
    net = sum((_count(line) for line in lines), start=Decimal(0))
    world.bc.tax = mapped.total - net
    world.bc.included = mapped.predicted.tax


def _count(line: dict[str, Any]) -> Decimal:
    return line.get("quantity", 0) * line.get("unitPrice", Decimal(0)) - line.get("discountAmount", 0)


async def carry_out(world: World, invoice: Invoice) -> InvoiceResult:
    head = build_head(invoice.id, at=world.clock.now(), connection=world.connection)
    result = await world.settle(head)
    assert result is not None
    return result


def check_written(world: World, shown: Preview, result: InvoiceResult) -> None:
    """The draft that was made is the one that was shown, for the customer that was shown."""
    assert shown.mapped is not None
    assert result.outcome == "synced", result.error
    (posted,) = [one for one in result.attempts if one.payload]
    assert posted.payload is not None
    sent = dict(posted.payload)
    (document,) = world.bc.invoices
    customer = find_customer(world, document)
    if shown.customer is not None:
        assert (customer.id, customer.number) == (shown.customer.id, shown.customer.number)
    else:
        assert shown.new is not None
        made = customer.model_dump(by_alias=True)
        assert {name: made.get(name) for name in shown.new.payload if name in made} == {
            name: value for name, value in shown.new.payload.items() if name in made
        }
        sent.pop("customerId")
    assert sent == shown.mapped.payload
    assert list(result.notes) == describe(shown)["notes"]


def find_customer(world: World, document: SalesInvoice) -> Any:
    return next(one for one in world.bc.customers if one.id == document.customer_id)


async def test_a_guess_names_the_group_of_customers(redis_url: str) -> None:
    """What VAT Business Central adds goes by the customer's VAT business posting group."""
    case = {"invoice": {"lines": [{"amount": 10_000, "taxes": ["25 % on top 2500"]}]}, "customer": {}}
    async for world in open_world(redis_url, case, is_known=True):
        gatherer = world.mapper.gatherer
        assert isinstance(gatherer, CaseMaterials)
        gatherer.materials = replace(gatherer.materials, books=build_books(tax_areas={"EU": AREA.upper()}))
        (invoice,) = world.stripe.invoices.values()

        shown = await (await build_planner(world)).preview(invoice)

        assert shown.guess == (
            "Business Central's total is a guess: it has not yet shown what VAT it adds for customers of group EU."
        )


async def test_the_cases_reach_drafts_refusals_and_new_customers(redis_url: str) -> None:
    """Otherwise the test above could pass by leaving all of them alone."""
    ends: Counter[str] = Counter()
    for case in load_cases()[::4]:
        async for world in open_world(redis_url, case.values[0], is_known=False):
            (invoice,) = world.stripe.invoices.values()
            shown = await (await build_planner(world)).preview(invoice)
            ends["due" if shown.due else "refused" if shown.refusal else "new" if shown.new else "found"] += 1
            await world.plain_redis.flushdb()

    assert ends["new"] >= 10
    assert ends["refused"] >= 2
