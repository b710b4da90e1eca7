"""The mix of faults that `hub demo --faults` turns on: drawn by each simulator's own seeded dice."""

from typing import Any

# Of the requests that create a draft, so many in a hundred meet each of these. Together a good tenth goes wrong.
_CREATE = {"method": "POST", "path_regex": r"/salesInvoices\b"}
_ANY_BC = {"path_regex": r"/api/v2\.0/"}
_ANY_STRIPE = {"path_regex": r"^/v1/(invoices|events)"}


def build_bc_faults() -> list[dict[str, Any]]:
    """Faults of Business Central: before and after the work was done, and answers past the deadline."""
    return [
        {"match": _CREATE, "kind": "reset_after", "probability": 0.03},
        {"match": _CREATE, "kind": "status", "status": 504, "after": True, "probability": 0.02},
        {
            "match": _CREATE,
            "kind": "late_commit",
            "status": 504,
            "delay_ms": 1500,
            "probability": 0.01,
        },
        {"match": _CREATE, "kind": "slow_after", "delay_ms": 4000, "probability": 0.01},
        {"match": _ANY_BC, "kind": "reset_before", "probability": 0.02},
        {"match": _ANY_BC, "kind": "status", "status": 503, "retry_after": 1, "probability": 0.02},
        {"match": _ANY_BC, "kind": "status", "status": 429, "probability": 0.01, "count": 4},
        {"match": _ANY_BC, "kind": "latency", "delay_ms": 200, "probability": 0.05},
    ]


def build_stripe_faults() -> list[dict[str, Any]]:
    """Faults of Stripe's API."""
    return [
        {"match": _ANY_STRIPE, "kind": "status", "status": 429, "probability": 0.02},
        {"match": _ANY_STRIPE, "kind": "status", "status": 500, "probability": 0.02},
        {"match": _ANY_STRIPE, "kind": "reset_before", "probability": 0.01},
        {"match": _ANY_STRIPE, "kind": "reset_after", "probability": 0.02},
        {"match": _ANY_STRIPE, "kind": "bad_body", "probability": 0.01},
    ]


def build_webhook_faults() -> dict[str, Any]:
    """Faults of webhook delivery: dropped (catch-up finds them), doubled, reordered, late, wrongly signed."""
    return {
        "drop": 0.05,
        "double": 0.1,
        "reorder": 0.1,
        "delay": {"p": 0.1, "min_ms": 100, "max_ms": 2000},
        "wrong_secret": 0.02,
        "two_signatures": 0.1,
    }
