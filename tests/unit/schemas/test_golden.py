"""What was once on a topic or in Redis parses for ever, with every value kept."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import schemas.connections
import schemas.messages
from hub.backfill import Backfill
from hub.customer_sync import CustomerSync
from hub.ledger import CustomerLink, Incarnation, InvoiceOutcome, InvoiceState
from hub.waiting import WaitingEntry
from schemas.connections import ConnectionSecrets
from schemas.contract import Contract
from schemas.messages import Message
from schemas.settings import Settings
from services.contacts.claims import Claim
from services.contacts.index import IndexState

DIRECTORY = Path(__file__).parents[2] / "golden"
FILES = sorted(DIRECTORY.glob("*.json"))
IN_REDIS: tuple[type[BaseModel], ...] = (
    Settings,
    InvoiceState,
    InvoiceOutcome,
    Incarnation,
    CustomerLink,
    CustomerSync,
    IndexState,
    WaitingEntry,
    Claim,
    Backfill,
)


def list_contracts() -> dict[str, type[BaseModel]]:
    """Every class that is sent, or stored on its own."""
    found: dict[str, type[BaseModel]] = {one.__name__: one for one in IN_REDIS}
    for module in (schemas.messages, schemas.connections):
        for name, value in vars(module).items():
            is_contract = (
                isinstance(value, type) and issubclass(value, Contract) and value.__module__ == module.__name__
            )
            if is_contract and value is not Message:
                found[name] = value
    return found


def find_class(path: Path) -> type[BaseModel]:
    return list_contracts()[path.name.split(".")[0]]


def keeps(written: Any, read: Any) -> bool:
    """Whether everything that was written is still there."""
    if isinstance(written, dict):
        return isinstance(read, dict) and all(key in read and keeps(value, read[key]) for key, value in written.items())
    if isinstance(written, list):
        return isinstance(read, list) and len(read) == len(written) and all(map(keeps, written, read))
    return written == read


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_file_parses_and_keeps_every_value(path: Path) -> None:
    written = json.loads(path.read_text(encoding="utf-8"))

    read = find_class(path).model_validate_json(path.read_text(encoding="utf-8"))

    if isinstance(read, ConnectionSecrets):
        assert read.stripe_key.get_secret_value() == written["stripe_key"]
        assert [one.get_secret_value() for one in read.webhook_secrets] == written["webhook_secrets"]
    else:
        assert keeps(written, read.model_dump(mode="json"))


@pytest.mark.parametrize("path", [one for one in FILES if "Secrets" not in one.name], ids=lambda path: path.stem)
def test_what_is_read_is_written_so_that_it_reads_the_same(path: Path) -> None:
    model = find_class(path)
    read = model.model_validate_json(path.read_text(encoding="utf-8"))

    assert model.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize("name", sorted(list_contracts()))
def test_every_class_has_a_file_for_its_version(name: str) -> None:
    field = list_contracts()[name].model_fields.get("version")
    version = field.default if field is not None else 1

    assert (DIRECTORY / f"{name}.v{version}.json").is_file(), "write one, as this version writes it"


def test_a_field_of_a_newer_half_of_a_rolling_update_is_ignored() -> None:
    path = DIRECTORY / "MetadataUpdated.v1.json"
    newer = json.loads(path.read_text(encoding="utf-8")) | {"from_the_future": {"x": 1}}

    read = find_class(path).model_validate(newer)

    assert "from_the_future" not in read.model_dump()


def test_an_unknown_version_does_not_parse() -> None:
    path = DIRECTORY / "MetadataUpdated.v1.json"
    newer = json.loads(path.read_text(encoding="utf-8")) | {"version": 2}

    with pytest.raises(ValueError, match="version"):
        find_class(path).model_validate(newer)


def test_secrets_are_masked_wherever_a_connection_is_written() -> None:
    text = (DIRECTORY / "ConnectionSecrets.v1.json").read_text(encoding="utf-8")
    secrets = ConnectionSecrets.model_validate_json(text)

    for shown in (repr(secrets), str(secrets), secrets.model_dump_json(), str(secrets.model_dump())):
        assert not any(word in shown for word in ("rk_test_golden", "whsec_new", "golden-secret"))
