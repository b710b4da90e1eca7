"""A piece of advice as a test: what makes an invoice fail with a code, and what its entry tells a person to do."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.invoice_settings import InvoiceSettings, LineTarget, RoundingSettings, TaxRule, TaxSettings
from schemas.settings import Settings
from tests.relay import Relay

Scenario = Callable[[Relay], AsyncGenerator[Mapping[str, Any]]]
"""Makes an invoice that fails, yields it, and then does what the advice says."""

BOOKS = Settings(
    invoices=InvoiceSettings(
        lines=LineTarget(type="Account", number="6110"),
        tax=TaxSettings(
            rules=(
                TaxRule(percent=25, code="STANDARD"),  # pyright: ignore[reportArgumentType]
                TaxRule(percent=7, code="REDUCED"),  # pyright: ignore[reportArgumentType]
                TaxRule(percent=0, code="ZERO"),  # pyright: ignore[reportArgumentType]
            ),
            zero_code="ZERO",
        ),
        rounding=RoundingSettings(account="6910"),
    )
)
"""Settings of an ordinary company, as each scenario begins."""


@dataclass(frozen=True)
class Advice:
    """One way to follow the advice of one code."""

    code: str
    """As an invoice's result bears it."""
    way: str
    scenario: Scenario
    recreate: bool
    """The advice is `hub replay --recreate`."""
    outcome: str
    again: str
    """The code after a replay without the advice, which looks anew at what was learned."""
    replay_helps: bool
    """The advice is just to replay."""
    asked: bool
    """Found only where a person asks: a webhook takes the link to a customer, or what is synced, as it stands."""


SCENARIOS: list[Advice] = []


def advice(
    code: str,
    *,
    recreate: bool = False,
    outcome: str = "failed",
    again: str = "",
    replay_helps: bool = False,
    asked: bool = False,
) -> Callable[[Scenario], Scenario]:
    """Register a scenario; `outcome` is what the invoice comes to before the advice is followed.

    Where it is *pending*, the whole connection waits, and goes on by itself once the advice is followed.
    """

    def register(scenario: Scenario) -> Scenario:
        SCENARIOS.append(
            Advice(code, scenario.__name__, scenario, recreate, outcome, again or code, replay_helps, asked)
        )
        return scenario

    return register
