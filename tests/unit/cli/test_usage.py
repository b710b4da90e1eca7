"""`hub usage` on a real ledger."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hub.cli.context import Exit
from hub.ledger import InvoiceState, Ledger
from hub.usage import Counted, Usage
from schemas.connections import Plan
from schemas.messages import BcDocument
from tests.unit.cli.conftest import Hub

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
DOCUMENT = BcDocument(
    id="d-1", number="S-INV1001", external_document_number="HUB-0001", total=Decimal("100.50"), currency="EUR"
)


@pytest.fixture
def connection(hub: Hub) -> str:
    made = hub.connect()

    async def fill(redis: Any) -> None:
        ledger = Ledger(redis)
        async with ledger.hold_invoice(made, "in_1") as lease:
            state = InvoiceState(phase="synced", document=DOCUMENT, synced_at=AT)
            await ledger.save_state(lease, made, "in_1", state, first_success=AT)
        await Usage(redis).add(made, Counted("in_0", datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)))

    hub.prepare(fill)
    return made


def test_months_are_counted(hub: Hub, connection: str) -> None:
    found = json.loads(hub("usage", "--json").out)

    assert [(one["connection"], one["month"], one["invoices"]) for one in found] == [
        (connection, "2026-10", 1),
        (connection, "2026-11", 1),
    ]
    assert "2026-10" in hub("usage").out
    assert json.loads(hub("usage", "--month", "2026-12", "--json").out)[0]["invoices"] == 0
    assert hub("usage", "--month", "november").code == Exit.USAGE


def test_a_csv_names_the_document_of_each_invoice(hub: Hub, connection: str, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    said = hub("usage", "--month", "2026-11", "--csv", str(path))
    shown = hub("usage", "--month", "2026-11", "--csv", "-")

    assert "1 invoices written" in said.out
    assert path.read_text() == shown.out
    (row,) = csv.DictReader(io.StringIO(shown.out))
    assert row == {
        "connection": connection,
        "month": "2026-11",
        "invoice": "in_1",
        "first_synced_at": "2026-11-24T09:30:00+00:00",
        "bc_invoice": "S-INV1001",
        "bc_invoice_id": "d-1",
        "external_document_number": "HUB-0001",
        "total": "100.50",
        "currency": "EUR",
    }
    assert hub("usage", "--csv", str(tmp_path / "missing" / "x.csv")).code == Exit.USAGE


def test_a_forgotten_document_leaves_its_cells_empty(hub: Hub, connection: str) -> None:
    (row,) = csv.DictReader(io.StringIO(hub("usage", "--month", "2026-10", "--csv", "-").out))

    assert (row["invoice"], row["bc_invoice"]) == ("in_0", "")


def test_a_removed_connection_keeps_its_usage_under_its_id(hub: Hub, connection: str) -> None:
    assert hub("connections", "remove", "--yes").code == 0

    assert json.loads(hub("usage", "--json").out) == []
    assert len(json.loads(hub("usage", "--connection", connection, "--json").out)) == 2


def test_limits_are_set_one_by_one_and_taken_away(hub: Hub, connection: str) -> None:
    def load() -> Plan:
        return hub.prepare(lambda redis: hub.build_directory(redis).load(connection)).connection.plan

    assert hub("usage", "limits", "--soft", "400").code == 0
    told = hub("usage", "limits", "--hard", "500").out
    assert "it warns at 400 invoices a month (UTC) and stops at 500 invoices a month (UTC)." in " ".join(told.split())
    assert load() == Plan(soft_limit=400, hard_limit=500)
    assert "400" in hub("usage").out
    assert "no limits" in hub("usage", "limits", "--none").out
    assert load() == Plan()
    assert hub("usage", "limits").code == hub("usage", "limits", "--none", "--soft", "1").code == Exit.USAGE


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (Plan(), ("--soft", "400", "--hard", "300")),
        (Plan(), ("--soft", "300", "--hard", "300")),
        (Plan(hard_limit=300), ("--soft", "400")),
        (Plan(soft_limit=400), ("--hard", "300")),
        (Plan(), ("--soft", "-1")),
    ],
)
def test_limits_that_can_not_hold_are_refused_and_nothing_changes(
    hub: Hub, connection: str, stored: Plan, words: tuple[str, ...]
) -> None:
    hub.prepare(lambda redis: hub.build_directory(redis).set_plan(connection, stored))

    done = hub("usage", "limits", *words)

    assert done.code == Exit.USAGE
    assert ("would never come" in done.err) == ("-1" not in words)
    assert hub.prepare(lambda redis: hub.build_directory(redis).load(connection)).connection.plan == stored
