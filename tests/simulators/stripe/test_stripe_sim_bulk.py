"""Bulk data and the command line."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.simulators.stripe.harness import Simulator


def lines_of(sim: Simulator) -> list[dict[str, Any]]:
    (account,) = sim.admin("GET", "dump")["accounts"].values()
    return [line for invoice in account["invoices"] for line in invoice["lines"]["data"]]


@pytest.mark.parametrize(("currency", "step"), [("eur", 4), ("jpy", 4), ("kwd", 40), ("ugx", 400)])
def test_bulk_invoices_carry_exact_tax_on_every_line(sim: Simulator, currency: str, step: int) -> None:
    order = {"invoices": 40, "seed": 7, "customers": 3, "currency": currency, "wait": True}
    made = sim.admin("POST", "bulk", order)
    assert (len(set(made["ids"])), made["done"], made["finished"]) == (40, 40, True)
    for line in lines_of(sim):
        assert line["amount"] % step == 0
        assert line["taxes"][0]["amount"] * 4 == line["amount"]
    assert sim.admin("GET", "state")["invoices"]["open"] == 40


def test_the_same_seed_makes_the_same_amounts(sim: Simulator) -> None:
    order = {"invoices": 15, "seed": 3, "exact": False, "tax_rate": "19", "wait": True}
    sim.admin("POST", "bulk", order)
    sim.admin("POST", "bulk", order)
    amounts = [line["amount"] for line in lines_of(sim)]
    assert amounts[: len(amounts) // 2] == amounts[len(amounts) // 2 :]


@pytest.mark.parametrize(
    ("mode", "status", "last"), [("send", "open", "invoice.sent"), ("pay", "paid", "invoice_payment.paid")]
)
def test_bulk_can_send_and_pay(sim: Simulator, mode: str, status: str, last: str) -> None:
    sim.admin("POST", "bulk", {"invoices": 3, "mode": mode, "tax_rate": None, "wait": True})
    assert sim.admin("GET", "state")["invoices"][status] == 3
    assert sim.event_types()[-1] == last


def test_bulk_reuses_customers_as_far_as_there_are_enough(sim: Simulator) -> None:
    first = sim.admin("POST", "bulk", {"invoices": 1, "customers": 2, "wait": True})
    more = sim.admin("POST", "bulk", {"invoices": 1, "customers": 3, "reuse": True, "wait": True})
    assert more["customers"][:2] == first["customers"]
    assert sim.admin("GET", "state")["customers"] == 3


def test_invoices_are_counted_and_dumped_by_account(sim: Simulator) -> None:
    second = sim.admin("POST", "accounts", {"name": "Second"})["account"]
    sim.admin("POST", "bulk", {"invoices": 2, "wait": True})
    sim.admin("POST", "bulk", {"invoices": 3, "wait": True, "account": second})
    state = sim.admin("GET", "state")
    assert state["invoices"]["open"] == 5
    assert state["invoices_by_account"][second]["open"] == 3
    dumped = sim.admin("GET", f"dump/{second}")["accounts"]
    assert [(account, len(kept["invoices"])) for account, kept in dumped.items()] == [(second, 3)]


def test_a_background_job_reports_its_progress(sim: Simulator) -> None:
    made = sim.admin("POST", "bulk", {"invoices": 5, "per_second": 200})
    assert len(made["ids"]) == 5
    while not (job := sim.admin("GET", f"bulk/{made['job']}"))["finished"]:
        assert job["error"] is None


def test_mistakes_in_controls_are_answered_with_a_sentence(sim: Simulator) -> None:
    bodies: list[tuple[str, Any]] = [
        ("bulk", {"invoices": 1, "mode": "fly"}),
        ("bulk", {"invoces": 1}),
        ("faults", {"kind": "earthquake"}),
        ("webhook_faults", {"dorp": 1}),
        ("accounts", {"api_keys": ["pk_test_x"]}),
        ("settings", {"colour": "red"}),
        ("deliver", {"event_id": "evt_none"}),
        ("faults", []),
    ]
    for path, body in bodies:
        answer = sim.http.post(f"{sim.base}/_sim/{path}", json=body)
        assert (answer.status_code, "error" in answer.json()) == (400, True), path


def test_seeding_the_generator_repeats_ids(sim: Simulator) -> None:
    names: list[str] = []
    for _ in range(2):
        sim.admin("POST", "seed_rng", {"seed": 11})
        names.append(sim.world.ids.new("in"))
    assert names[0] == names[1]


def test_the_command_announces_itself_and_stops_on_a_signal(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "simulators.stripe", "--ready-file", str(ready), "--api-key", "sk_test_cli"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        shown = json.loads(line)
        assert ready.read_text(encoding="utf-8") == line
        answer = httpx.get(f"{shown['api_base']}/v1/account", auth=(shown["api_key"], ""), trust_env=False)
        assert answer.json()["id"] == shown["account"]
        assert httpx.get(f"{shown['admin']}/state", trust_env=False).json()["events"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
