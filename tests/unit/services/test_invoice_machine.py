"""Anything may happen, in any order: still never two drafts, and once all is quiet exactly one."""

import asyncio
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from schemas.errors import InDoubt, RetryLater, RetrySoon
from schemas.messages import Cause, StripeEventReceived
from tests.builders import NOW, build_head, build_invoice
from tests.remote_fakes import Died
from tests.service_fakes import World

# Business Central may queue a request for eight minutes and run it for eight.
DELAYS = st.timedeltas(timedelta(0), timedelta(minutes=16))
METHODS = st.sampled_from(["create_customer", "create_invoice", "list_customers", "find_invoices", "fetch_invoice"])
# A request that is refused for now was not carried out; one whose answer is lost may have been.
TROUBLES = st.sampled_from([RetryLater("Wait.", code="bc.rate"), RetrySoon("Reset.", code="bc.reset")])


INVOICES = st.sampled_from(["in_1", "in_2"])
CAUSES = st.sampled_from(["webhook", "catch_up", "retry", "replay"])


class Life(RuleBasedStateMachine):
    """Two invoices, of two new Stripe customers who are one customer: they have the same e-mail address."""

    def __init__(self, redis_url: str) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.world = World(redis_url)
        self.loop.run(self._begin())
        self.heads = 0
        self.deleted: set[str] = set()
        """Invoices whose draft a person deleted, knowing whose it was."""
        self.voided: set[str] = set()
        self.forgotten: set[str] = set()
        """Invoices of which Stripe said nothing when the ledger was lost: voided then, nobody knows of a draft."""

    async def _begin(self) -> None:
        await self.world.plain_redis.flushdb()
        await self.world.open(proved=False)
        for number in (1, 2):
            self.world.stripe.put(build_invoice(id=f"in_{number}", number=f"HUB-{number}", customer=f"cus_{number}"))
        self.world.clock.move(timedelta(seconds=1))

    @rule(invoice=INVOICES, cause=CAUSES, dies_at=st.none() | st.integers(1, 70))
    def bring(self, invoice: str, cause: Cause, dies_at: int | None) -> None:
        self.heads += 1
        head = build_head(invoice, cause=cause, at=NOW + timedelta(seconds=self.heads))
        self.world.steps.taken, self.world.steps.dies_at = 0, dies_at
        self.loop.run(self._bring(head))

    @rule(dies_at=st.none() | st.integers(1, 100))
    def bring_both_at_once(self, dies_at: int | None) -> None:
        self.heads += 1
        heads = [build_head(f"in_{number}", at=NOW + timedelta(seconds=self.heads)) for number in (1, 2)]
        self.world.steps.taken, self.world.steps.dies_at = 0, dies_at
        self.loop.run(self._bring(*heads))

    async def _bring(self, *heads: StripeEventReceived) -> None:
        lived = await asyncio.gather(*(self._bring_one(head) for head in heads))
        self.world.steps.revive()
        if not all(lived):
            await self.world.expire_leases()

    async def _bring_one(self, head: StripeEventReceived) -> bool:
        """Bring a message as far as it comes; False if the process died meanwhile."""
        try:
            await self.world.bring(head)
        except Died:
            return False
        return True

    @rule(method=METHODS, error=TROUBLES)
    def fail_next(self, method: str, error: RetryLater | RetrySoon) -> None:
        self.world.bc.fail_next(method, error)

    @rule(method=st.sampled_from(["create_customer", "create_invoice"]))
    def lose_answer(self, method: str) -> None:
        self.world.bc.fail_next(method, InDoubt("No answer.", code="bc.doubt"), "after")

    @rule(delay=DELAYS)
    def commit_late(self, delay: timedelta) -> None:
        self.world.bc.commit_late(delay)

    @rule(by=st.timedeltas(timedelta(seconds=1), timedelta(minutes=25)))
    def wait(self, by: timedelta) -> None:
        self.world.clock.move(by)

    @precondition(lambda self: self.heads > 0)
    @rule()
    def lose_ledger(self) -> None:
        invoices = self.world.stripe.invoices
        self.forgotten |= {one for one in invoices if "bc_invoice_id" not in invoices[one].metadata}
        self.loop.run(self.world.lose_ledger())

    @rule(invoice=INVOICES)
    def delete_draft(self, invoice: str) -> None:
        told = self.world.stripe.invoices[invoice].metadata
        if told.get("bc_status") == "synced" and invoice not in self.deleted:
            self.world.bc.delete_by_hand(told["bc_invoice_id"])
            self.deleted.add(invoice)

    @rule(invoice=INVOICES)
    def void(self, invoice: str) -> None:
        self.world.stripe.change(invoice, status="void")
        self.voided.add(invoice)

    @invariant()
    def there_are_never_two(self) -> None:
        assert max(Counter(self.world.bc.created).values(), default=0) <= 1
        assert len(self.world.bc.customers) <= 1

    def teardown(self) -> None:
        try:
            self.loop.run(self._quiet())
        finally:
            self.loop.run(self.world.close())
            self.loop.close()

    async def _quiet(self) -> None:
        """Nothing fails any more, a person asks for both, and the messages come until they wait no more."""
        for number in (1, 2):
            await self.world.settle(build_head(f"in_{number}", cause="replay", at=NOW + timedelta(days=1)))
        self.world.bc.finish_late()
        self.there_are_never_two()
        for number in (1, 2):
            self._check(f"in_{number}")
        assert await self._count_usage() <= len(self.world.bc.created)

    def _check(self, invoice: str) -> None:
        told = self.world.stripe.invoices[invoice].metadata
        drafts = [
            one.id
            for one in self.world.bc.invoices
            if one.external_document_number == self.world.stripe.invoices[invoice].number
        ]
        if invoice in self.voided:
            assert told["bc_status"] in {"attention", "skipped"}
            assert not drafts or told["bc_status"] == "attention" or invoice in self.forgotten
        elif invoice in self.deleted:
            assert (told["bc_status"], drafts) == ("failed", [])
        else:
            assert (told["bc_status"], [told["bc_invoice_id"]]) == ("synced", drafts)

    async def _count_usage(self) -> int:
        connection = self.world.connection.id
        months = await self.world.usage.list_months(connection)
        return sum([await self.world.usage.count(connection, month) for month in months])


def test_whatever_happens_there_is_one_draft_in_the_end(redis_url: str) -> None:
    chosen = settings(
        max_examples=40,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        # The machine's ledger is shared by all runs, and emptied at the start of each.
        database=None,
    )
    begin: Any = partial(Life, redis_url)
    run_state_machine_as_test(begin, settings=chosen)
