"""What can go wrong on the way of a webhook, by probability (Stripe facts §117)."""

import random
from dataclasses import dataclass, field, fields
from typing import Any

NAMES = ("drop", "double", "reorder", "wrong_secret", "two_signatures", "old_version", "stale")


@dataclass(slots=True)
class Delay:
    """A delay between two bounds, for a share of the deliveries."""

    p: float = 0.0
    min_ms: int = 0
    max_ms: int = 0


@dataclass(slots=True)
class WebhookFaults:
    """Probabilities from 0 to 1; all 0 is a perfect network."""

    drop: float = 0.0
    double: float = 0.0
    reorder: float = 0.0
    wrong_secret: float = 0.0
    two_signatures: float = 0.0
    old_version: float = 0.0
    stale: float = 0.0
    delay: Delay = field(default_factory=Delay)

    def is_quiet(self) -> bool:
        """Tell whether nothing can happen."""
        return self.delay.p == 0 and all(getattr(self, name) == 0 for name in NAMES)

    def shown(self) -> dict[str, Any]:
        """Render for the admin answers."""
        plain = {name: getattr(self, name) for name in NAMES}
        return plain | {"delay": {part.name: getattr(self.delay, part.name) for part in fields(Delay)}}


def parse_webhook_faults(given: dict[str, Any]) -> WebhookFaults:
    """Read the admin body; raises ValueError for a name it does not know."""
    unknown = set(given) - {*NAMES, "delay"}
    if unknown:
        raise ValueError(f"unknown webhook faults: {', '.join(sorted(unknown))}")
    plain = {name: float(value) for name, value in given.items() if name != "delay"}
    return WebhookFaults(**plain, delay=Delay(**given.get("delay", {})))


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one delivery."""

    drop: bool = False
    double: bool = False
    reorder: bool = False
    wrong_secret: bool = False
    two_signatures: bool = False
    old_version: bool = False
    stale: bool = False
    delay_s: float = 0.0


SMOOTH = Fate()


def draw_fate(faults: WebhookFaults, rng: random.Random) -> Fate:
    """Throw the dice for one delivery."""
    if faults.is_quiet():
        return SMOOTH
    thrown = {name: rng.random() < getattr(faults, name) for name in NAMES}
    late = rng.random() < faults.delay.p
    return Fate(**thrown, delay_s=rng.uniform(faults.delay.min_ms, faults.delay.max_ms) / 1000 if late else 0.0)
