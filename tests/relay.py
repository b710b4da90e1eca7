"""The hub between both simulators without a broker: the services' own stages and clients, messages carried by hand.

What a stage does with an error is the runtime's own (`hub/stage/processing.py`); only Kafka is left out. Time is the
machine's, moved on where something waits, so that a wait of minutes takes none.
"""

import secrets
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from hub.app import Foundation, build_foundation
from hub.cli.connections import release_connection
from hub.config import load_config
from hub.directory import Snapshot
from hub.learned import LearnedFacts
from hub.ledger import Incarnation
from hub.mapper import DocumentMapper
from hub.materials import MaterialsGatherer
from hub.redis import INCARNATION
from hub.stage.ports import Outgoing, Parked
from schemas.connections import Connection, ConnectionSecrets
from schemas.messages import InvoiceResult, Message, MetadataUpdated, StripeEventReceived
from schemas.settings import Settings
from schemas.topics import STRIPE_EVENTS
from services.contacts.app import build_app as build_contacts
from services.invoices.app import build_app as build_invoices
from services.metadata_writer.app import build_app as build_metadata_writer
from tests.agreement import check_agreement, foretell
from tests.builders import SETTINGS
from tests.fakes import FakeRecord
from tests.pipeline.hub_harness import TENANT, Simulators

_LONGEST = 200
"""Steps an invoice may take; more is a circle."""


@dataclass
class MovedClock:
    """The machine's clock, and what was skipped."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return self.now().timestamp()


@dataclass
class KeptMessages:
    """Publisher and waiting set: keeps what is to be carried, and what waits."""

    outgoing: deque[Outgoing] = field(default_factory=deque[Outgoing])
    parked: dict[str, Parked] = field(default_factory=dict[str, Parked])

    async def publish(self, outgoing: Outgoing) -> None:
        self.outgoing.append(outgoing)

    async def park(self, parked: Parked) -> None:
        self.parked[parked.message.build_wakeup().object_id] = parked

    async def settle(self, message: Message) -> None:
        pass


@dataclass
class Relay:
    """One merchant with a Stripe account and a Business Central company of its own, and the hub between them."""

    simulators: Simulators
    foundation: Foundation
    clock: MovedClock
    kept: KeptMessages
    http: httpx.AsyncClient
    account: str
    key: str
    company: str
    company_id: str
    connection: Connection
    settings: Settings = SETTINGS
    foretells: bool = True
    """Whether preview and plan are asked before each invoice, and must be right. It costs requests."""
    results: list[InvoiceResult] = field(default_factory=list[InvoiceResult])
    updates: list[MetadataUpdated] = field(default_factory=list[MetadataUpdated])
    _token: str = ""

    def __post_init__(self) -> None:
        kept: Any = self.kept
        gatherer = MaterialsGatherer(now=self.clock.monotonic)
        mapper = DocumentMapper(gatherer, LearnedFacts(self.foundation.redis))
        around = replace(self.foundation, publisher=kept, waiting=kept, mapper=mapper)
        services = [build(around) for build in (build_contacts, build_invoices, build_metadata_writer)]
        self._processors = {
            stage._source.topic.name: stage._processor for stage in (one.stage for one in services) if stage is not None
        }

    # --- the hub

    async def bring(
        self,
        invoice: Mapping[str, Any] | str,
        cause: Literal["webhook", "replay"] = "webhook",
        *,
        rounds: int = 30,
        **changes: Any,
    ) -> InvoiceResult:
        """Bring an invoice to its end as a webhook or a person's replay does; returns the last result told of it.

        With `rounds=0` it is left waiting where it waits. Preview and plan are asked before, and must have been right.
        """
        object_id = invoice if isinstance(invoice, str) else str(invoice["id"])
        values: dict[str, Any] = {
            "connection": self.connection.id,
            "cause": cause,
            "object_id": object_id,
            "event_type": "hub.replay" if cause == "replay" else "invoice.finalized",
            "event_id": f"evt_{secrets.token_hex(6)}",
            # A wait that is over within a minute of the event is not told.
            "occurred_at": self.clock.now() - timedelta(minutes=2),
        }
        is_recreated = bool(changes.get("recreate"))
        before = await foretell(self, object_id, recreate=is_recreated) if self.foretells else None
        known = len(self.results)
        await self.carry(StripeEventReceived.model_validate(values | changes), rounds=rounds)
        if before is not None and rounds and any(one.received.object_id == object_id for one in self.results[known:]):
            after = await foretell(self, object_id, recreate=is_recreated)
            check_agreement(before, after, self.last_result(object_id))
        return self.last_result(object_id)

    def last_result(self, object_id: str) -> InvoiceResult:
        return next(one for one in reversed(self.results) if one.received.object_id == object_id)

    async def replay(self, invoice: Mapping[str, Any] | str, **changes: Any) -> InvoiceResult:
        """Replay it as a person does, from any of the doors: all publish the same message.

        A person needs seconds for what they changed before; what was read within two seconds still counts as fresh.
        """
        self.clock.ahead += timedelta(seconds=5)
        return await self.bring(invoice, "replay", **changes)

    async def carry(self, message: StripeEventReceived, *, rounds: int = 30) -> None:
        """Carry a message and all that follows from it to the end, waits included, of which it may take `rounds`."""
        key = f"{message.connection}/{message.object_id}"
        self.kept.outgoing.append(Outgoing(STRIPE_EVENTS, key, message))
        await self._drain()
        if rounds:
            await self.go_on(message.object_id, rounds=rounds)

    async def go_on(self, object_id: str, *, rounds: int = 30) -> None:
        """Let the time pass that an invoice waits for, until it waits no more."""
        for _ in range(rounds):
            if (parked := self.kept.parked.pop(object_id, None)) is None:
                return
            self.clock.ahead = max(self.clock.ahead, parked.due - datetime.now(UTC) + timedelta(milliseconds=1))
            again = parked.message.build_wakeup()
            cause = "replay" if again.cause == "replay" else "retry"
            values = {"connection": self.connection.id} | again.model_dump() | {"cause": cause}
            head = StripeEventReceived.model_validate(values)
            self.kept.outgoing.append(Outgoing(STRIPE_EVENTS, f"{self.connection.id}/{object_id}", head))
            await self._drain()
        assert object_id not in self.kept.parked, f"still waiting after {rounds} rounds: {self.results[-1:]}"

    async def _drain(self) -> None:
        for _ in range(_LONGEST):
            if not self.kept.outgoing:
                return
            one = self.kept.outgoing.popleft()
            if isinstance(one.message, InvoiceResult):
                self.results.append(one.message)
            if isinstance(one.message, MetadataUpdated):
                self.updates.append(one.message)
            if (processor := self._processors.get(one.topic.name)) is not None:
                value = one.message.model_dump_json().encode()
                await processor.process(FakeRecord(value, one.key.encode(), topic=one.topic.name, headers=one.headers))
        raise AssertionError("the messages go round in a circle")

    async def set(self, **changes: Any) -> None:
        """Save settings with some of them changed, as `hub settings import` does: by dotted path, `__` for the dot."""
        document = self.settings.model_dump(mode="json")
        for path, value in changes.items():
            *parents, last = path.split("__")
            place = document
            for name in parents:
                place = place[name]
            place[last] = value
        self.settings = Settings.model_validate(document)
        await self.foundation.directory.save_settings(self.connection.id, self.settings)

    async def resume(self) -> None:
        """Go on, as `hub connections resume` does."""
        await self.foundation.directory.set_paused(self.connection.id, paused=False)
        await release_connection(self.foundation, self.connection.id)
        for parked in self.kept.parked.values():
            self.kept.parked[parked.message.build_wakeup().object_id] = replace(parked, due=self.clock.now())

    async def snapshot(self) -> Snapshot:
        return await self.foundation.directory.load(self.connection.id)

    # --- Stripe, as the merchant

    async def stripe(self, method: str, path: str, **form: Any) -> dict[str, Any]:
        answer = await self.http.request(
            method,
            f"{self.simulators.stripe['api_base']}/v1/{path}",
            data=form or None,
            headers={"Authorization": f"Bearer {self.key}"},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def add_customer(self, **form: Any) -> str:
        """Add a Stripe customer, of Germany unless said otherwise."""
        mark = secrets.token_hex(4)
        values = {"name": f"Kunde {mark} GmbH", "email": f"{mark}@kunde.example", "address[country]": "DE"}
        given = {name: value for name, value in (values | form).items() if value is not None}
        return (await self.stripe("POST", "customers", **given))["id"]

    async def draft(self, customer: str | None = None, **form: Any) -> dict[str, Any]:
        """Make an invoice without lines, not finalized."""
        chosen = customer or await self.add_customer()
        terms = {"customer": chosen, "collection_method": "send_invoice", "days_until_due": 14, "currency": "eur"}
        given = {name: value for name, value in (terms | form).items() if value is not None}
        return await self.stripe("POST", "invoices", **given)

    async def line(
        self, invoice: Mapping[str, Any], amount: int = 10_000, *, tax: str | None = None, **form: Any
    ) -> None:
        """Add a line; `tax`: id of its tax rate."""
        values = {
            "customer": invoice["customer"],
            "invoice": invoice["id"],
            "amount": amount,
            "currency": invoice["currency"],
            "description": "Consulting",
        }
        if "pricing[price]" in form:
            del values["amount"]
        rates = {"tax_rates[0]": tax} if tax else {}
        await self.stripe("POST", "invoiceitems", **(values | rates | form))

    async def finalize(self, invoice: Mapping[str, Any]) -> dict[str, Any]:
        return await self.stripe("POST", f"invoices/{invoice['id']}/finalize")

    async def invoice(
        self,
        customer: str | None = None,
        *,
        amount: int = 10_000,
        tax: str | None = None,
        metadata: Mapping[str, str] | None = None,
        **form: Any,
    ) -> dict[str, Any]:
        """Make and finalize an invoice of one line; `tax`: id of its tax rate."""
        said = {f"metadata[{key}]": value for key, value in (metadata or {}).items()}
        draft = await self.draft(customer, **(said | form))
        await self.line(draft, amount, tax=tax)
        return await self.finalize(draft)

    async def rate(self, percent: str, **form: Any) -> str:
        values = {"display_name": "VAT", "percentage": percent, "inclusive": "false", "country": "DE"}
        return (await self.stripe("POST", "tax_rates", **(values | form)))["id"]

    async def metadata(self, invoice: Mapping[str, Any]) -> dict[str, str]:
        return (await self.stripe("GET", f"invoices/{invoice['id']}"))["metadata"]

    # --- Business Central, as the bookkeeper

    async def control(self, system: Literal["stripe", "bc"], method: str, path: str, **given: Any) -> Any:
        admin = getattr(self.simulators, system)["admin"]
        answer = await self.http.request(method, f"{admin}/{path}", json=given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def seed(self, **sections: Any) -> None:
        """Add to the company, or change what has the same code or number."""
        await self.control("bc", "POST", "seed", companies=[{"name": self.company, **sections}])

    async def dump(self) -> dict[str, list[dict[str, Any]]]:
        return await self.control("bc", "GET", f"dump/{self.company}")

    async def find_drafts(self, invoice: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Find its documents by their external document number, with the prefix of the settings."""
        ours = {
            f"{self.settings.invoices.external_document_prefix}{name}".upper()
            for name in (invoice["number"], invoice["id"])
        }
        dump = await self.dump()
        documents = [*dump["salesInvoices"], *dump["salesCreditMemos"]]
        return [one for one in documents if one["externalDocumentNumber"] in ours]

    async def bc(self, method: str, path: str, body: Any = None) -> Any:
        """Do something in Business Central as a user of its API, with whatever version the record has."""
        base = f"{self.simulators.bc['api_base']}/{TENANT}/sandbox/api/v2.0/companies({self.company_id})"
        if not self._token:
            client = self.foundation.clients.build_business_central(await self.snapshot())
            self._token = await client._channel.tokens.get_token()
        headers = {"Authorization": f"Bearer {self._token}", "If-Match": "*"}
        answer = await self.http.request(method, f"{base}/{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


@asynccontextmanager
async def open_relay(
    simulators: Simulators,
    redis_url: str,
    directory: Path,
    *,
    company: Mapping[str, Any] | None = None,
    settings: Settings = SETTINGS,
    **connection: Any,
) -> AsyncGenerator[Relay]:
    """Open a Stripe account and a company (`company`: sections of the simulator's seed), and join them."""
    mark = secrets.token_hex(4)
    environment = {
        "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "HUB_REDIS_URL": redis_url,
        "HUB_STRIPE_API_BASE": simulators.stripe["api_base"],
        "HUB_BC_API_BASE": simulators.bc["api_base"],
        "HUB_ENTRA_AUTHORITY": simulators.bc["authority"],
        "HUB_CA_BUNDLE": simulators.bc["ca_bundle"],
        "HUB_SECRET_KEYS": "a key for the relay's tests",
        "HUB_DATA_DIR": str(directory),
        "HUB_RETRY_WAITS": ",".join(["1"] * 20),
    }
    clock = MovedClock()
    foundation = build_foundation(load_config(environment), "tests", clock)
    key, secret, name = f"sk_test_{mark}", f"whsec_{mark}", f"Books {mark}"
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        admin = simulators.stripe["admin"]
        opened = await http.post(f"{admin}/accounts", json={"api_keys": [key], "invoice_prefix": mark.upper()})
        client = f"app-{mark}"
        app = {"client_id": client, "client_secret": "demo-secret"}
        made = {"apps": [app], "companies": [{"name": name, **(company or {})}]}
        seeded = await http.post(f"{simulators.bc['admin']}/seed", json=made)
        assert seeded.status_code == 200, seeded.text
        company_id = str(seeded.json()["companies"][0]["id"])
        values: dict[str, Any] = {
            "stripe_account": opened.json()["account"],
            "livemode": False,
            "bc_tenant": TENANT,
            "bc_environment": "sandbox",
            "bc_company": name,
            "bc_company_id": company_id,
            "bc_client_id": client,
            "created_at": clock.now() - timedelta(days=90),
            "go_live": clock.now() - timedelta(days=60),
        }
        joined = Connection.model_validate(values | connection)
        given = ConnectionSecrets(
            stripe_key=SecretStr(key),
            webhook_secrets=(SecretStr(secret),),
            bc_client_secret=SecretStr("demo-secret"),
        )
        life = Incarnation(id="of the tests", born_at=clock.now() - timedelta(days=90))
        await foundation.redis.set(INCARNATION, life.model_dump_json())
        await foundation.directory.add(joined, given, settings)
        relay = Relay(
            simulators, foundation, clock, KeptMessages(), http, joined.stripe_account, key, name, company_id, joined
        )
        relay.settings = settings
        try:
            yield relay
        finally:
            await foundation.clients.close()
            await foundation.redis.aclose(close_connection_pool=True)
