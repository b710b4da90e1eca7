"""Faults of HTTP: the mix that is always there, and bursts. Each has the name under which the report counts it."""

from typing import Any

from benchmarks.chaos.schedule import LONGEST_OPERATION, Kind

# Every request that creates a draft or a customer: its answer is the one that must not be lost.
BC_CREATES = {"method": "POST", "path_regex": r"/(salesInvoices|customers)\b"}
_ANY_BC = {"path_regex": r"/api/v2\.0/"}
_ANY_STRIPE = {"path_regex": r"^/v1/(invoices|events)"}
_STRIPE_WRITES = {"method": "POST", "path_regex": r"^/v1/invoices"}

LOST_ANSWERS = frozenset(
    {
        "BC: reset after the POST was carried out",
        "BC: 504 after the POST was carried out",
        "BC: 504, and the POST carried out later",
        "BC: answer past the deadline",
        "Stripe: reset after the write",
    }
)
"""What the report sums up as answers lost after the write."""


def build_all_background() -> dict[str, dict[str, dict[str, Any]]]:
    """Build the rules that hold for the whole run: by system, then by name."""
    return {"bc": _build_bc(), "stripe": _build_stripe()}


def _build_bc() -> dict[str, dict[str, Any]]:
    late = int(LONGEST_OPERATION * 1000)
    return {
        "BC: reset after the POST was carried out": {"match": BC_CREATES, "kind": "reset_after", "probability": 0.03},
        "BC: 504 after the POST was carried out": {
            "match": BC_CREATES, "kind": "status", "status": 504, "after": True, "probability": 0.02,
        },
        "BC: 504, and the POST carried out later": {
            "match": BC_CREATES, "kind": "late_commit", "delay_ms": late, "probability": 0.02,
        },
        # The deadline of a write is half the doubt window, 5 s here.
        "BC: answer past the deadline": {
            "match": BC_CREATES, "kind": "slow_after", "delay_ms": 6500, "probability": 0.01,
        },
        "BC: reset before the work": {"match": _ANY_BC, "kind": "reset_before", "probability": 0.02},
        "BC: 503": {"match": _ANY_BC, "kind": "status", "status": 503, "retry_after": 1, "probability": 0.02},
        "BC: slow": {"match": _ANY_BC, "kind": "latency", "delay_ms": 300, "probability": 0.1},
    }  # fmt: skip


def _build_stripe() -> dict[str, dict[str, Any]]:
    return {
        "Stripe: reset after the write": {"match": _STRIPE_WRITES, "kind": "reset_after", "probability": 0.03},
        "Stripe: 429": {"match": _ANY_STRIPE, "kind": "status", "status": 429, "probability": 0.02},
        "Stripe: 500": {"match": _ANY_STRIPE, "kind": "status", "status": 500, "probability": 0.02},
        "Stripe: reset before the work": {"match": _ANY_STRIPE, "kind": "reset_before", "probability": 0.01},
        "Stripe: half a body": {"match": _ANY_STRIPE, "kind": "bad_body", "probability": 0.01},
    }


def build_webhook_faults() -> dict[str, Any]:
    """Build what happens to deliveries."""
    return {
        "drop": 0.05,
        "double": 0.1,
        "reorder": 0.1,
        "delay": {"p": 0.1, "min_ms": 100, "max_ms": 3000},
        "wrong_secret": 0.02,
        "two_signatures": 0.1,
    }


def build_burst(kind: Kind) -> tuple[str, dict[str, Any]]:
    """Build the rule of a burst: for a while nothing else is answered."""
    match kind:
        case "bc_throttled":
            return "bc", {"match": _ANY_BC, "kind": "status", "status": 429}
        case "bc_away":
            return "bc", {"match": _ANY_BC, "kind": "status", "status": 503}
        case "stripe_throttled":
            return "stripe", {"match": _ANY_STRIPE, "kind": "status", "status": 429}
        case "stripe_broken":
            return "stripe", {"match": _ANY_STRIPE, "kind": "status", "status": 500}
        case _:
            raise ValueError(f"{kind} is no burst")
