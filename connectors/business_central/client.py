"""The client: what the hub asks of Business Central's API v2.0, in its own words."""

from copy import copy
from typing import Self

import httpx

from connectors.business_central.answers import parse_all
from connectors.business_central.channel import Channel, OnAnswer, Request, ignore_answer
from connectors.business_central.customers import Customers
from connectors.business_central.deadlines import Deadlines
from connectors.business_central.documents import Documents
from connectors.business_central.errors import Call
from connectors.business_central.limiter import Limiter
from connectors.business_central.lists import Lists
from connectors.business_central.lookups import BatchLimits
from connectors.business_central.models import Company
from connectors.business_central.records import MAY_LAG
from connectors.business_central.sign_in import TokenSource


class BusinessCentralClient(Customers, Documents, Lists):
    """One company of one environment. Retries nothing but a refused token, once: the runtime does.

    Args:
        http: From `transport.build_http_client`; not closed here.
        api_base: `https://api.businesscentral.dynamics.com/v2.0`, without tenant.
        company_id: The company's GUID; None is enough for `fetch_companies`.
        limiter: Shared by all that sign in as the same app or user; None for tests alone.
        deadlines: Total times of an exchange.
        batches: How look-ups are merged.
        on_answer: Called at each successful answer.

    All methods raise HubErrors.
    """

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        api_base: str,
        tenant: str,
        environment: str,
        company_id: str | None,
        tokens: TokenSource,
        limiter: Limiter | None,
        deadlines: Deadlines | None = None,
        batches: BatchLimits | None = None,
        on_answer: OnAnswer = ignore_answer,
    ) -> None:
        channel = Channel(http, api_base, tenant, environment, tokens, limiter, deadlines or Deadlines(), on_answer)
        super().__init__(channel, company_id, batches)

    def for_history(self) -> Self:
        """Return the same client for what is of the past: all its requests leave room for live traffic."""
        other = copy(self)
        other._live = False  # noqa: SLF001 - its own copy
        return other

    async def fetch_companies(self) -> tuple[Company, ...]:
        """Return all companies of the environment."""
        request = Request(Call("GET", "company"), f"{self._channel.root}/companies", MAY_LAG)
        return parse_all(request.call, Company, await self._rows(request))

    async def release_slot(self, name: str) -> None:
        """Free the slot that a write in doubt keeps (`limiter_slot` in the error's context), once its end is known."""
        if self._channel.limiter is not None:
            await self._channel.limiter.release(name)
