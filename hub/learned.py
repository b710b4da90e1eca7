"""What Business Central has shown of its own rules.

Are a customer's prices with tax, what VAT does a line bring, which new customers get no posting groups, what does
posting round totals to: its API tells none of it beforehand, only in documents. So each draft teaches, and the next is
foretold by it. Facts live for a day: set-ups change, and what is wrong here would refuse invoices that Business Central
takes. What posting does shows more seldom, in a posted document whose total is no round one, and lives longer.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.redis import gross_prices_key, posting_precision_key, run, unbillable_key, vat_facts_key
from mapping.taxes import LearnedVat, VatFact, VatKey

_LIFE_SECONDS = 86_400
_POSTING_LIFE_SECONDS = 90 * _LIFE_SECONDS
# Facts of one VAT business posting group are read together, and kept in the process for this long.
_FRESH_SECONDS = 30.0
# Longer than the other facts: a person has to act, and their replay tries again whatever is known.
_UNBILLABLE_LIFE = timedelta(days=30)


@dataclass
class LearnedFacts:
    """Facts by Business Central company, shared by all replicas."""

    redis: Any
    _kept: dict[str, tuple[float, dict[VatKey, VatFact]]] = field(
        default_factory=dict[str, tuple[float, dict[VatKey, VatFact]]]
    )

    async def load_gross_prices(self, company: str, customer_id: str) -> bool | None:
        """Tell whether the customer's card says that prices include tax; None where no document has shown it."""
        known = await run(self.redis.hget(gross_prices_key(company), customer_id))
        return None if known is None else known == "1"

    async def load_vat(self, company: str, tax_area: str) -> LearnedVat:
        """Return what is known of a VAT business posting group; nothing where the group itself is not known."""
        if not tax_area:
            return {}
        key = vat_facts_key(company, tax_area)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < _FRESH_SECONDS:
            return kept[1]
        stored: Mapping[str, str] = await run(self.redis.hgetall(key))
        born = time.time() - _LIFE_SECONDS
        facts = {
            VatKey(tax_area, *name.split("|", 2)): fact
            for name, text in stored.items()
            if (fact := _parse(text, born)) is not None
        }
        self._kept[key] = (time.monotonic(), facts)
        return facts

    async def load_posting_precision(self, company: str, currency: str) -> Decimal | None:
        """Return what posting rounds totals of a currency to, as a posted document showed; None where none has lately.

        The currency's smallest unit: it does not round.
        """
        stored = await run(self.redis.hget(posting_precision_key(company), currency.upper()))
        if not stored:
            return None
        precision, seen, _ = json.loads(stored)
        return Decimal(precision) if seen >= time.time() - _POSTING_LIFE_SECONDS else None

    async def save_posting_precision(
        self, company: str, currency: str, precision: Decimal | None, posted: date | None
    ) -> None:
        """Remember what a document showed that was posted on a day, if anything; what a later one has shown stands."""
        key, day = posting_precision_key(company), (posted or date.min).isoformat()
        stored = await run(self.redis.hget(key, currency.upper()))
        if precision is not None and (not stored or json.loads(stored)[2] <= day):
            await run(self.redis.hset(key, currency.upper(), json.dumps([str(precision), int(time.time()), day])))

    async def save_gross_prices(self, company: str, customer_id: str, *, gross: bool) -> bool:
        """Remember what a document showed; True if it was taken for otherwise: what is not known is taken for net."""
        known = await self.load_gross_prices(company, customer_id)
        if known != gross:
            await run(self.redis.hset(gross_prices_key(company), customer_id, "1" if gross else "0"))
        return bool(known) != gross

    async def load_unbillable(self, company: str, template_by: str, now: datetime) -> datetime | None:
        """Return when a new customer that got its posting groups by this was seen to have none; None if unknown."""
        text = await run(self.redis.hget(unbillable_key(company), template_by))
        seen = datetime.fromisoformat(text) if text else None
        return seen if seen is not None and now - seen < _UNBILLABLE_LIFE else None

    async def list_unbillable(self, company: str, now: datetime) -> list[str]:
        """List by what new customers were seen to get no posting groups: `DE/Company`."""
        stored: Mapping[str, str] = await run(self.redis.hgetall(unbillable_key(company)))
        return sorted(name for name, at in stored.items() if now - datetime.fromisoformat(at) < _UNBILLABLE_LIFE)

    async def save_unbillable(self, company: str, template_by: str, now: datetime) -> None:
        """Remember that no draft can be made for such a new customer."""
        await run(self.redis.hset(unbillable_key(company), template_by, now.isoformat()))

    async def drop_unbillable(self, company: str, template_by: str) -> None:
        """Forget it: a draft was made for one."""
        await run(self.redis.hdel(unbillable_key(company), template_by))

    async def save_vat(self, company: str, tax_area: str, facts: Mapping[VatKey, VatFact]) -> bool:
        """Remember what a document showed; True if something of it was not known."""
        if not tax_area:
            return False
        known = await self.load_vat(company, tax_area)
        news = {key: fact for key, fact in facts.items() if known.get(key) != fact}
        if not news:
            return False
        key = vat_facts_key(company, tax_area)
        now = int(time.time())
        mapping = {f"{one.type}|{one.number}|{one.tax_code}": _write(fact, now) for one, fact in news.items()}
        await run(self.redis.hset(key, mapping=mapping))
        await run(self.redis.expire(key, _LIFE_SECONDS))
        self._kept.pop(key, None)
        return True


def _write(fact: VatFact, now: int) -> str:
    return json.dumps([fact.identifier, str(fact.percent), now])


def _parse(text: str, born: float) -> VatFact | None:
    try:
        identifier, percent, seen = json.loads(text)
        return VatFact(identifier, Decimal(percent)) if seen >= born else None
    except (ValueError, TypeError, ArithmeticError):
        # Damaged: the next document shows it again.
        return None
