"""The promise from outside: whatever dies or is lost on the way, each invoice has its one right draft, and says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import Broker

pytestmark = [pytest.mark.timeout(240)]


def run_demo(directory: Path, *words: str, bootstrap: str | None = None) -> dict[str, Any]:
    """Run `hub demo --json` as a user would, and return what it prints last."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    environment["HUB_DATA_DIR"] = str(directory)
    if bootstrap is not None:
        environment["HUB_KAFKA_BOOTSTRAP"] = bootstrap
    command = (sys.executable, "-m", "hub", "demo", "--json", "--keep", *words)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220, check=False)
    assert done.stdout.strip(), done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def assert_perfect(result: dict[str, Any], invoices: int) -> None:
    """One draft for each invoice, none lost, none doubled, all to the cent, all said in Stripe."""
    expected = {
        "invoices": invoices,
        "drafts": invoices,
        "duplicates": 0,
        "lost": 0,
        "failed": 0,
        "wrong_total": 0,
        "metadata_written": invoices,
        "duplicate_customers": 0,
    }
    assert {key: result[key] for key in expected} == expected, result
    assert result["seconds"] > 0
    assert result["invoices_per_second"] > 0


def test_every_invoice_becomes_one_draft(tmp_path: Path) -> None:
    assert_perfect(run_demo(tmp_path, "--invoices", "40"), 40)


@pytest.mark.slow
@pytest.mark.parametrize("service", ["ingest", "contacts", "invoices", "metadata_writer"])
def test_a_killed_service_loses_and_doubles_nothing(tmp_path: Path, service: str) -> None:
    assert_perfect(run_demo(tmp_path, "--invoices", "60", "--kill", service, "--seed", "5"), 60)


@pytest.mark.slow
def test_faults_on_all_sides_lose_and_double_nothing(tmp_path: Path) -> None:
    assert_perfect(run_demo(tmp_path, "--invoices", "60", "--faults", "--seed", "11"), 60)


@pytest.mark.slow
@pytest.mark.kafka
def test_a_killed_service_under_faults_on_apache_kafka_loses_and_doubles_nothing(tmp_path: Path, kafka: Broker) -> None:
    words = ("--invoices", "60", "--faults", "--kill", "invoices", "--seed", "12")
    assert_perfect(run_demo(tmp_path, *words, bootstrap=kafka.bootstrap), 60)
