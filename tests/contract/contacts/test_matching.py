"""Five hundred Stripe customers look for themselves among two thousand: nobody becomes another, and it costs little."""

from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from connectors.business_central.client import BusinessCentralClient
from hub.directory import Snapshot
from hub.learned import LearnedFacts
from hub.materials import MaterialsGatherer
from hub.redis import build_redis
from schemas.customer_settings import CustomerSettings
from schemas.errors import Refused
from schemas.settings import Settings
from services.contacts.claims import Held
from services.contacts.index import CustomerIndex
from services.contacts.search import CustomerSearch
from simulators.business_central.app import BusinessCentralSimulator
from simulators.business_central.default_seed import CLIENT_ID, COMPANY_ID, TENANT
from tests.builders import NOW, SETTINGS, build_invoice, build_snapshot
from tests.contract.contacts.generated import StripeSide, generate
from tests.fakes import FakeClock
from tests.remote_fakes import FakeStripe, Steps
from tests.simulators.business_central.books import Books, in_memory

BY_MORE = CustomerSettings.model_validate(
    {
        "match": [
            {"stripe": "tax_id", "bc": "taxRegistrationNumber"},
            {"stripe": "email", "bc": "email"},
            {
                "pairs": [
                    {"stripe": "phone", "bc": "phoneNumber"},
                    {"stripe": "name", "bc": "displayName", "legal_form": "optional"},
                ]
            },
            {
                "pairs": [
                    {"stripe": "name", "bc": "displayName", "legal_form": "optional"},
                    {"stripe": "address.postal_code", "bc": "postalCode"},
                ]
            },
        ]
    }
)


class SimulatorTokens:
    """Tokens of the built-in app."""

    def __init__(self, sim: BusinessCentralSimulator) -> None:
        self._token = sim.tokens.issue(TENANT, CLIENT_ID, CLIENT_ID)

    async def get_token(self) -> str:
        return self._token

    async def invalidate(self, refused: str) -> None:
        raise AssertionError(f"the token {refused} is good")


@dataclass
class Run:
    """The simulator full of customers, and a search on it."""

    books: Books
    search: CustomerSearch
    bc: BusinessCentralClient
    snapshot: Snapshot
    sides: list[StripeSide]

    def use(self, customers: CustomerSettings) -> None:
        self.snapshot = build_snapshot(settings=Settings(customers=customers, invoices=SETTINGS.invoices))

    async def look(self, side: StripeSide) -> str:
        """Return the number of the customer that is taken, why nobody is, or that one would be created."""
        invoice = build_invoice(**side.fields)
        stripe = FakeStripe(Steps())
        try:
            question = await self.search.ask(self.snapshot, invoice, stripe, self.bc, NOW)
            found = await self.search.find(question, Held({}))
            return found.decide(question.seeker).number if found else "created"
        except Refused as error:
            return error.code

    async def count_requests(self) -> int:
        state = await self.books.control("GET", "state")
        return sum(state["requests"].values())


@pytest_asyncio.fixture
async def run(redis_url: str) -> AsyncGenerator[Run]:
    sim = BusinessCentralSimulator()
    rows, sides = generate(seed=2026)
    redis = build_redis(redis_url)
    async with in_memory(sim) as http:
        books = Books(sim, http)
        await books.seed(customers=rows)
        bc = BusinessCentralClient(
            http=http,
            api_base="http://testserver/v2.0",
            tenant=TENANT,
            environment="sandbox",
            company_id=COMPANY_ID,
            tokens=SimulatorTokens(sim),
            limiter=None,
        )
        index = CustomerIndex(redis, FakeClock(datetime.now(UTC)), timedelta(seconds=60))
        yield Run(books, CustomerSearch(index, MaterialsGatherer(), LearnedFacts(redis)), bc, build_snapshot(), sides)
    await redis.aclose(close_connection_pool=True)


def judge(side: StripeSide, answer: str) -> str:
    if not answer.startswith("K"):
        return "stopped" if answer != "created" else "new"
    # A company that was entered twice is itself on either card.
    return "right" if answer in side.cards else "wrong"


@pytest.mark.parametrize(
    ("customers", "at_least"), [(CustomerSettings(), 0.82), (BY_MORE, 0.86)], ids=["default", "more"]
)
async def test_nobody_is_taken_for_another(
    run: Run, customers: CustomerSettings, at_least: float, record_property: Any
) -> None:
    run.use(customers)
    await run.look(run.sides[0])
    before = await run.count_requests()
    verdicts: Counter[tuple[str, str]] = Counter()
    for side in run.sides:
        verdicts[side.kind, judge(side, await run.look(side))] += 1
    requests = (await run.count_requests() - before) / len(run.sides)

    there = sum(len(side.cards) == 1 for side in run.sides)
    recall = (verdicts["plain", "right"] + verdicts["alike", "right"]) / there
    told = {
        "recall": round(recall, 3),
        "requests_per_match": round(requests, 3),
        **{f"{kind}: {verdict}": count for (kind, verdict), count in sorted(verdicts.items())},
    }
    record_property("matching", told)
    assert not [kind for kind, verdict in verdicts if verdict == "wrong"], told
    assert recall >= at_least, told
    assert requests <= 1.2, told
