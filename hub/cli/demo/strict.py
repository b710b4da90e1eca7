"""`hub demo --strict`: real books instead of tidy ones, and a judge who looks for what nobody was told.

The company is set up as Microsoft ships it: it checks tax numbers, completes addresses by post code and rounds what it
posts. Its answers are read in each way that is open: totals of before the lines, fields checked in either order. The
buyers are of twelve countries. At the end all drafts are posted.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hub.cli.demo.buyers import Buyer, invent_buyers, list_known
from hub.cli.demo.judge import Judge, Verdict
from hub.cli.demo.scene import DOUBT_SECONDS, Company, Scene
from hub.cli.topic_reader import open_reader
from hub.config import load_config
from schemas.messages import InvoiceResult
from schemas.topics import INVOICES_RESULTS

# Local currencies that are rounded by 0.01 and, in Switzerland, by 0.05; post codes that other countries have too.
_HOMES = ("DK", "DE", "CH")
_CURRENCIES = {"DK": "dkk", "SE": "sek", "NO": "nok", "CH": "chf", "GB": "gbp", "US": "usd"}
_AT_ONCE = 8
_ENDED = frozenset({"synced", "failed", "attention", "skipped"})


@dataclass(frozen=True)
class Merchant:
    """Sells to the buyers, by Stripe's API."""

    scene: Scene
    dice: random.Random
    home: str

    async def call(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        """Call Stripe's API as the merchant."""
        stripe = self.scene.simulators.stripe
        answer = await self.scene.simulators.http.request(
            method,
            f"{stripe['api_base']}/v1/{path}",
            data=form or None,
            headers={"Authorization": f"Bearer {stripe['api_key']}"},
        )
        answer.raise_for_status()
        return dict(answer.json())

    async def add(self, buyer: Buyer) -> str:
        """Create the customer of a buyer; returns its id."""
        key = str((await self.call("POST", "customers", **buyer.build_stripe()))["id"])
        if buyer.tax_number:
            await self.call("POST", f"customers/{key}/tax_ids", type=buyer.tax_type, value=buyer.tax_number)
        return key

    async def sell(self, customer: str, buyer: Buyer, domestic_rate: str) -> None:
        """Invoice a buyer, to be paid in days for which there are payment terms, or none."""
        currency, days = _CURRENCIES.get(buyer.country, "eur"), self.dice.choice((8, 14, 17, 30))
        amounts = [self.dice.randint(101, 99_999) for _ in range(self.dice.randint(1, 3))]
        terms = {"customer": customer, "collection_method": "send_invoice", "days_until_due": days}
        draft = await self.call("POST", "invoices", currency=currency, **terms)
        for amount in amounts:
            taxes = {"tax_rates[0]": domestic_rate} if buyer.country == self.home else {}
            line = {"customer": customer, "invoice": draft["id"], "amount": amount, "currency": currency}
            await self.call("POST", "invoiceitems", **line, description="Consulting", **taxes)
        await self.call("POST", f"invoices/{draft['id']}/finalize")


def build_company(seed: int, invoices: int) -> Company:
    """Build the books: a company as Microsoft ships it for a country, and whom it knows before the demo."""
    home = _choose_home(seed)
    account = "6110"
    settings = {
        "invoices": {
            "lines": {"type": "Account", "number": account},
            "tax": {"rules": [{"percent": 25, "code": "STANDARD"}], "zero_code": "ZERO"},
            "rounding": {"account": "6910"},
        },
        "time_zone": "Europe/Berlin",
        "doubt_window": DOUBT_SECONDS,
    }
    known = list_known(invent_buyers(seed, _count_buyers(invoices)))
    made = {"as_shipped": home, "customers": known}
    return Company(name=f"CRONUS {home}", line_account=account, seed=made, settings=settings)


def _choose_home(seed: int) -> str:
    return _HOMES[seed % len(_HOMES)]


def _count_buyers(invoices: int) -> int:
    return max(1, invoices * 2 // 3)


async def run_strict(scene: Scene, *, seed: int, invoices: int, patience: float) -> Verdict:
    """Sell, wait until all has settled, post everything, and judge."""
    merchant = Merchant(scene, random.Random(seed), _choose_home(seed))
    buyers = invent_buyers(seed, _count_buyers(invoices))
    await scene.read_answers(totals="header", order="body")
    domestic = (await merchant.call("POST", "tax_rates", display_name="Moms", percentage="25", inclusive="false"))["id"]
    known: dict[str, Buyer] = {}
    for at in range(invoices):
        buyer = buyers[at % len(buyers)]
        key = next((key for key, one in known.items() if one == buyer), None) or await merchant.add(buyer)
        known[key] = buyer
        await merchant.sell(key, buyer, domestic)
        if at == invoices // 2:
            await scene.read_answers(totals="after", order="page")
    await _wait_until_settled(scene, invoices, patience)
    before = await scene.dump_bc()
    found = await _read_results(scene)
    judge = Judge(known, await scene.simulators.dump_stripe(), before["customers"], before["salesInvoices"], found)
    await scene.post_all(before["salesInvoices"])
    findings = await scene.reconcile()
    return judge.judge((await scene.dump_bc())["salesInvoices"], findings)


async def _wait_until_settled(scene: Scene, invoices: int, patience: float) -> None:
    """Return once each invoice says how it ended, or nothing moved for `patience` seconds."""
    last, changed_at = -1, time.monotonic()
    while last < invoices and time.monotonic() - changed_at < patience:
        told = [one["metadata"].get("bc_status") in _ENDED for one in await scene.simulators.dump_stripe()]
        if sum(told) != last:
            last, changed_at = sum(told), time.monotonic()
        await asyncio.sleep(0.5)  # another process's state rings no bell


async def _read_results(scene: Scene) -> Sequence[InvoiceResult]:
    """Read all that the hub has said of invoices, in the order that it was decided."""
    async with open_reader(load_config(dict(scene.environment)), [INVOICES_RESULTS.name]) as reader:
        found = [InvoiceResult.model_validate_json(record.value or b"") async for record in reader.read_stored()]
    return sorted(found, key=lambda one: one.decided_at)
