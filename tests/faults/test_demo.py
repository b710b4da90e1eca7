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


def run_demo(directory: Path, *words: str) -> dict[str, Any]:
    """Run `hub demo --json` as a user would, in the shell of a real hub, and return the one thing it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    # Those of a real hub, which must not be touched.
    environment |= {"HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1", "HUB_REDIS_URL": "redis://127.0.0.1:1/0"}
    environment |= {"HUB_SECRET_KEYS": "a-key-of-a-real-hub", "HUB_DATA_DIR": str(directory)}
    command = (sys.executable, "-m", "hub", "demo", "--json", "--keep", *words)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220, check=False)
    assert "Ignored, so that the demo touches no real hub: HUB_KAFKA_BOOTSTRAP, HUB_REDIS_URL" in done.stderr
    assert f"Logs of this run: {directory}" in done.stderr
    return json.loads(done.stdout)


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
@pytest.mark.parametrize("seed", [0, 1, 2], ids=["danish books", "german books", "swiss books"])
def test_real_books_get_no_wrong_customer_and_nothing_is_changed_in_silence(tmp_path: Path, seed: int) -> None:
    """Customers of twelve countries, a company as Microsoft ships it, answers of both readings; then all is posted."""
    result = run_demo(tmp_path, "--strict", "--invoices", "60", "--seed", str(seed))

    for wrong in ("nameless", "wrong_customers", "silent_changes", "untold_differences"):
        assert result[wrong] == [], wrong
    assert result["posted"] + sum(result["failures"].values()) == 60
    assert result["posted"] > 30


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
    words = ("--invoices", "60", "--faults", "--kill", "invoices", "--seed", "12", "--kafka", kafka.bootstrap)
    assert_perfect(run_demo(tmp_path, *words), 60)
