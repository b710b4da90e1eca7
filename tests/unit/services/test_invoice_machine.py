"""Anything may happen, in any order: still never two drafts, and once all is quiet exactly one."""

import asyncio
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


class Life(RuleBasedStateMachine):
    """One invoice of one new customer."""

    def __init__(self, redis_url: str) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.world = World(redis_url)
        self.loop.run(self._begin())
        self.heads = 0

    async def _begin(self) -> None:
        await self.world.plain_redis.flushdb()
        await self.world.open(proved=False)
        self.world.stripe.put(build_invoice())
        self.world.clock.move(timedelta(seconds=1))

    @rule(cause=st.sampled_from(["webhook", "catch_up", "retry", "replay"]), dies_at=st.none() | st.integers(1, 70))
    def bring(self, cause: Cause, dies_at: int | None) -> None:
        self.heads += 1
        head = build_head(cause=cause, at=NOW + timedelta(seconds=self.heads))
        self.world.steps.taken, self.world.steps.dies_at = 0, dies_at
        self.loop.run(self._bring(head))

    async def _bring(self, head: StripeEventReceived) -> None:
        try:
            await self.world.bring(head)
        except Died:
            self.world.steps.revive()
            await self.world.expire_leases()
        self.world.steps.revive()

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
        self.loop.run(self.world.lose_ledger())

    @invariant()
    def there_are_never_two(self) -> None:
        assert len(self.world.bc.created) <= 1
        assert len(self.world.bc.customers) <= 1

    def teardown(self) -> None:
        try:
            self.loop.run(self._quiet())
        finally:
            self.loop.run(self.world.close())
            self.loop.close()

    async def _quiet(self) -> None:
        """Nothing fails any more, and the message comes until it waits no more."""
        await self.world.settle(build_head(cause="retry", at=NOW + timedelta(days=1)))
        self.world.bc.finish_late()
        self.there_are_never_two()
        assert len(self.world.bc.created) == len(self.world.bc.customers) == 1
        assert await self._count_usage() <= 1
        told = self.world.stripe.invoices["in_1"].metadata
        assert (told["bc_status"], told["bc_invoice_id"]) == ("synced", self.world.bc.invoices[0].id)

    async def _count_usage(self) -> int:
        connection = self.world.connection.id
        months = await self.world.usage.list_months(connection)
        return sum([await self.world.usage.count(connection, month) for month in months])


def test_whatever_happens_there_is_one_draft_in_the_end(redis_url: str) -> None:
    chosen = settings(
        max_examples=25,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        # The machine's ledger is shared by all runs, and emptied at the start of each.
        database=None,
    )
    begin: Any = partial(Life, redis_url)
    run_state_machine_as_test(begin, settings=chosen)
