from collections.abc import AsyncIterator

import pytest

from connectors.stripe.client import StripeApi
from connectors.stripe.transport import StripeHttp
from tests.unit.stripe_connector.fake_stripe import FakeStripe, build_http, running_fake


@pytest.fixture
async def fake() -> AsyncIterator[FakeStripe]:
    async with running_fake() as stripe:
        yield stripe


@pytest.fixture
async def http(fake: FakeStripe) -> AsyncIterator[StripeHttp]:
    async with build_http(fake) as transport:
        yield transport


@pytest.fixture
def api(fake: FakeStripe, http: StripeHttp) -> StripeApi:
    return fake.build_api(http)
