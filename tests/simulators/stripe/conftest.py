"""One simulator per test: state never leaks from one sentence to the next."""

from collections.abc import Iterator

import pytest
import stripe

from tests.simulators.stripe.harness import Inbox, Simulator, listening_inbox, running_simulator


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running_simulator() as simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> stripe.StripeClient:
    return sim.client()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with listening_inbox() as box:
        yield box
