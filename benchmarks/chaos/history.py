"""The whole story of one invoice or customer that went wrong: what each part has kept of it, in the order of time."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.chaos.world import World
from hub.cli.demo.simulators import BC_COMPANY
from hub.redis import invoice_key, waiting_entries_key
from schemas.topics import TOPICS

_SHOWN = {"cause", "outcome", "stage", "decided_at", "event_type", "event_id", "attempt", "resolved_at", "retry_at"}


async def tell_invoice(world: World, invoice_id: str) -> list[str]:
    """Tell all about an invoice: Stripe, ledger, drafts, writes, messages and log lines."""
    for account in world.accounts:
        invoices = await world.simulators.dump_stripe(account.id)
        invoice = next((one for one in invoices if one["id"] == invoice_id), None)
        if invoice is not None:
            break
    else:
        return [f"{invoice_id}: Stripe does not know it"]
    key = f"{account.connection}/{invoice_id}"
    ledger = await world.redis.hgetall(invoice_key(account.connection, invoice_id))
    waits = await world.redis.hget(waiting_entries_key(account.connection), invoice_id)
    events = [
        *await _list_messages(world, key),
        *await _list_writes(world, invoice["number"], invoice["customer_email"] or ""),
        *await asyncio.to_thread(_grep_logs, world.directory / "logs", (invoice_id,)),
    ]
    return [
        f"invoice {invoice_id}, number {invoice['number']}, customer {invoice['customer']} {invoice['customer_email']}",
        f"Stripe: {invoice['status']}, total {invoice['total']}, metadata {json.dumps(invoice['metadata'])}",
        *(f"ledger: {name.decode()} {value.decode()}" for name, value in ledger.items()),
        f"waits: {waits.decode() if waits else 'no'}",
        *await _list_drafts(world, invoice["number"]),
        *(f"{at}  {words}" for at, words in sorted(events)),
    ]


async def tell_customer(world: World, email: str) -> list[str]:
    """Tell all about the creation of a customer."""
    dump = await world.simulators.call(world.simulators.bc, "GET", f"dump/{BC_COMPANY}")
    its = [one for one in dump["customers"] if one["email"] == email]
    return [
        f"customer {email}",
        *(f"Business Central: {one['number']} {one['displayName']} {one['id']}" for one in its),
        *(f"{at}  {words}" for at, words in await _list_writes(world, email)),
    ]


async def _list_drafts(world: World, number: str) -> list[str]:
    dump = await world.simulators.call(world.simulators.bc, "GET", f"dump/{BC_COMPANY}")
    return [
        f"Business Central: {one['number']} {one['id']} {one['status']} {one['totalAmountIncludingTax']}"
        for one in dump["salesInvoices"]
        if one["externalDocumentNumber"] == number.upper()
    ]


async def _list_writes(world: World, *names: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in filter(None, names):
        entries = await world.simulators.call(world.simulators.bc, "GET", f"journal/{name}")
        found += [(one["at"], f"BC      {one['request']} {one['names']} {one['what']}") for one in entries]
    return found


async def _list_messages(world: World, key: str) -> list[tuple[str, str]]:
    """Read all topics from their beginning, for the messages under a key."""
    found: list[tuple[str, str]] = []
    async with AIOKafkaConsumer(bootstrap_servers=world.bootstrap, auto_offset_reset="earliest") as consumer:
        partitions = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                found += [
                    (
                        _to_stamp(record.timestamp / 1000),
                        f"Kafka   {partition.topic}[{partition.partition}]@{record.offset} {_summarize(record.value)}",
                    )
                    for record in records
                    if record.key == key.encode()
                ]
    return found


def _summarize(value: bytes | None) -> str:
    try:
        message: Mapping[str, Any] = json.loads(value or b"{}")
    except ValueError:
        return repr(value)
    return ", ".join(f"{name} {message[name]}" for name in message if name in _SHOWN and message[name])


def _grep_logs(logs: Path, words: tuple[str, ...]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for log in sorted(logs.glob("*.log")):
        with log.open(errors="replace") as lines:
            found += [_read_line(log.stem, line) for line in lines if any(word in line for word in words)]
    return found


def _read_line(replica: str, line: str) -> tuple[str, str]:
    try:
        entry = json.loads(line)
    except ValueError:
        return "", f"{replica}  {line.strip()}"
    at = str(entry.pop("timestamp", ""))[:23] + "Z"
    event = entry.pop("event", "")
    told = " ".join(f"{name}={value}" for name, value in entry.items() if name not in {"service", "key", "level"})
    return at, f"{replica}  {event} {told}"


def _to_stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
