"""`hub preview`: what invoices would become in Business Central, by the code of production. Writes nothing."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from connectors.stripe.client import StripeApi
from hub.cli.context import Exit, choose_connection, open_foundation, run_command
from hub.cli.given_files import UnreadableFileError, read_given_file
from hub.cli.replay import build_planner
from hub.cli.replay_plan import Preview
from hub.cli.screen import print_json
from hub.cli.wording import NO_COUNTRY_RISK, say, show_table
from mapping.document_lines import list_vat
from mapping.eligibility import STANDING
from mapping.sales_documents import MappedDocument
from mapping.samples import load_samples
from mapping.totals import VatLine
from schemas.errors import Refused
from schemas.money import format_amount
from schemas.stripe_objects import Invoice

NAME = "preview"
# Business Central serves five at once, and production needs some of them.
_AT_ONCE = 3
_NOT_PROMISED = frozenset({"fail", "ambiguous", "unknown"})


@dataclass(frozen=True)
class _Wanted:
    """What to preview: one invoice, a file, the samples, or the last ones."""

    invoice_id: str | None
    file: Path | None
    samples: bool
    last: int | None
    settings_version: int | None


def command(
    invoice_id: Annotated[str | None, typer.Argument(metavar="[IN_…]", help="A Stripe invoice, by its id.")] = None,
    file: Annotated[Path | None, typer.Option(help="A Stripe invoice (or event about one) as JSON.")] = None,
    samples: Annotated[bool, typer.Option("--samples", help="The built-in samples.")] = False,
    last: Annotated[int | None, typer.Option(min=1, max=1_000, help="The last finalized invoices, as a table.")] = None,
    settings_version: Annotated[
        int | None, typer.Option(min=1, help="By an earlier version of the settings. Default: the newest.")
    ] = None,
    connection: Annotated[str | None, typer.Option(help="Connection or Stripe account.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what an invoice would become: its customer and why, each field with its source, lines, tax and total.

    Nothing is written, neither to Stripe nor to Business Central. It ends with 1 if one of them would fail, or
    failed last time for what only Business Central can say is mended.
    """
    wanted = _Wanted(invoice_id, file, samples, last, settings_version)
    if sum(1 for one in (invoice_id, file, samples or None, last) if one is not None) != 1:
        raise typer.BadParameter("name one of: an invoice's id, --file, --samples, --last")
    run_command(_preview(wanted, connection, as_json=as_json))


async def _preview(wanted: _Wanted, connection: str | None, *, as_json: bool) -> None:
    async with open_foundation() as foundation:
        snapshot = await foundation.directory.load(
            await choose_connection(foundation, connection), settings_version=wanted.settings_version
        )
        planner = build_planner(foundation, snapshot)
        invoices = await _load(wanted, foundation.clients.stripe(snapshot))
        room = asyncio.Semaphore(_AT_ONCE)

        async def preview(invoice: Invoice) -> Preview:
            async with room:
                return await planner.preview(invoice)

        shown = await asyncio.gather(*(preview(invoice) for invoice in invoices))
    if as_json:
        version = snapshot.settings_version
        print_json({"settings_version": version, "invoices": [describe(one) for one in shown]})
    elif len(shown) == 1 and wanted.last is None:
        _show_one(shown[0])
    else:
        _show_table(shown)
    if any(_judge(one) in _NOT_PROMISED for one in shown):
        raise typer.Exit(int(Exit.PROBLEM))


async def _load(wanted: _Wanted, stripe: StripeApi) -> Sequence[Invoice]:
    if wanted.file is not None:
        return [read_invoice(wanted.file)]
    if wanted.samples:
        return [one.invoice for one in load_samples()]
    if wanted.invoice_id is not None:
        return [await _fetch(stripe, wanted.invoice_id)]
    ids: list[str] = []
    async for invoice in stripe.list_invoices():
        if invoice.status in STANDING:
            ids.append(invoice.id)
        if len(ids) == wanted.last:
            break
    return [await _fetch(stripe, one) for one in ids]


async def _fetch(stripe: StripeApi, invoice_id: str) -> Invoice:
    invoice = await stripe.fetch_invoice(invoice_id)
    if invoice is None:
        raise Refused(
            f"Stripe has no invoice {invoice_id} in this account and mode.",
            code="preview.invoice.unknown",
            fix="Copy its id from Stripe, or name the connection with --connection.",
        )
    return invoice


def read_invoice(path: Path) -> Invoice:
    """Read an invoice from a file; an event's is taken out of it.

    Raises:
        Refused: the file can't be read, or holds no invoice.
    """
    try:
        body: Any = json.loads(read_given_file(path))
        if isinstance(body, dict) and "data" in body and "lines" not in body:
            body = body["data"]["object"]
        return Invoice.model_validate(body)
    except UnreadableFileError as error:
        raise _refuse_file(f"{path} {error}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refuse_file(f"{path} holds no Stripe invoice in the shape of API version 2026-10-28.endive.") from error


def _refuse_file(words: str) -> Refused:
    return Refused(
        words,
        code="preview.file.unreadable",
        fix="Save one from Stripe's API (GET /v1/invoices/in_…) or an event about one, as JSON.",
    )


def describe(shown: Preview) -> dict[str, Any]:
    """Describe a preview as plain data: what `--json` prints."""
    told: dict[str, Any] = {
        "invoice": shown.invoice.id,
        "number": shown.invoice.number,
        "not_due": shown.due or None,
        "verdict": _judge(shown),
        "customer": shown.customer.model_dump() if shown.customer else None,
        "would_create_customer": shown.new.payload if shown.new else None,
        "customer_sources": shown.new.sources if shown.new else None,
        "notes": [*shown.notes, *(shown.mapped.notes if shown.mapped else ())],
        "new_customer_without_country": shown.has_no_country,
        "guess": shown.guess or None,
        "last_failure": shown.last_failure or None,
        "synced_as": shown.synced.number if shown.synced else None,
    }
    if shown.refusal is not None:
        fix = shown.refusal.fix if isinstance(shown.refusal, Refused) else ""
        told["refusal"] = {"code": shown.refusal.code, "message": shown.refusal.message, "fix": fix}
    if shown.mapped is not None:
        told["draft"] = _describe_draft(shown.mapped)
    return told


def _describe_draft(mapped: MappedDocument) -> dict[str, Any]:
    return {
        "kind": mapped.kind,
        "payload": mapped.payload,
        "sources": {"header": mapped.header_sources, "lines": [line.sources for line in mapped.lines]},
        "form": mapped.form,
        "taxes": _describe_taxes(mapped),
        "stripe_total": mapped.total,
        "predicted": {"net": mapped.predicted.net, "tax": mapped.predicted.tax, "gross": mapped.predicted.gross},
        "rounding": mapped.rounding,
        "difference": mapped.predicted.gross - mapped.total,
        "dimensions": dict(mapped.dimensions),
    }


def _describe_taxes(mapped: MappedDocument) -> list[dict[str, Any]]:
    """List the taxes of a draft, as Business Central adds them up: one for each VAT identifier."""
    lines: defaultdict[str, list[VatLine]] = defaultdict(list)
    for line in list_vat(mapped.lines):
        lines[line.identifier].append(line)
    return [
        {
            "identifier": identifier,
            "percents": sorted({line.percent for line in found}),
            "base": sum((line.amount for line in found), Decimal(0)),
            "tax": mapped.taxes[identifier],
        }
        for identifier, found in lines.items()
    ]


def _judge(shown: Preview) -> str:
    if shown.refusal is not None:
        return "ambiguous" if shown.refusal.code == "contact.ambiguous" else "fail"
    if shown.last_failure:
        return "unknown"
    return "match" if shown.customer else "create"


def _tell_customer(shown: Preview) -> str:
    if shown.customer is not None:
        return f"{shown.customer.number} {shown.customer.name} ({shown.customer.how})"
    return f"new: {shown.new.payload.get('displayName', '')}" if shown.new else ""


def _show_one(shown: Preview) -> None:
    say(f"Invoice {shown.invoice.number or shown.invoice.id}")
    if shown.due:
        say((f"It is not due now: {shown.due}", "yellow"))
    if shown.synced is not None:
        say((f"It is {shown.synced.number} in Business Central already: a replay would change nothing.", "yellow"))
    say(f"Customer: {_tell_customer(shown) or 'not looked for'}")
    if shown.new is not None:
        rows = [(name, str(value), shown.new.sources[name]) for name, value in shown.new.payload.items()]
        show_table(("Field", "Value", "From"), rows)
        if shown.has_no_country:
            say((f"The new customer has no country: {NO_COUNTRY_RISK}.", "yellow"))
    if shown.mapped is not None:
        _show_draft(shown.mapped)
    for note in describe(shown)["notes"]:
        say(f"Note: {note}")
    if shown.refusal is not None:
        fix = shown.refusal.fix if isinstance(shown.refusal, Refused) else ""
        say((f"It would fail: {shown.refusal.message} {fix}".strip(), "bold red"))
    if shown.last_failure:
        say((f"It may fail again. Last time: {shown.last_failure}", "bold red"))
    say("Nothing was written." + (f" {shown.guess}" if shown.guess else ""))


def _show_draft(mapped: MappedDocument) -> None:
    header = [
        (name, str(value), mapped.header_sources[name])
        for name, value in mapped.payload.items()
        if name in mapped.header_sources
    ]
    show_table(("Field", "Value", "From"), header)
    lines = [
        (str(number), name, str(value), line.sources[name])
        for number, line in enumerate(mapped.lines, start=1)
        for name, value in line.fields.items()
    ]
    show_table(("Line", "Field", "Value", "From"), lines)
    taxes = [
        (row["identifier"], ", ".join(f"{one} %" for one in row["percents"]), str(row["base"]), str(row["tax"]))
        for row in _describe_taxes(mapped)
    ]
    show_table(("Tax", "Rate", "Of", "Amount"), taxes)
    tax = format_amount(mapped.predicted.tax, mapped.currency)
    say(
        f"Stripe's total {format_amount(mapped.total, mapped.currency)}, Business Central's "
        f"{format_amount(mapped.predicted.gross, mapped.currency)} ({tax} of it tax); difference "
        f"{mapped.predicted.gross - mapped.total}, rounding line {mapped.rounding}."
    )


def _show_table(shown: Sequence[Preview]) -> None:
    if not shown:
        say("There are no finalized invoices.")
        return
    colours = {
        "match": "green",
        "create": "cyan",
        "ambiguous": "bold magenta",
        "unknown": "bold magenta",
        "fail": "bold red",
    }
    rows = [
        (
            one.invoice.number or one.invoice.id,
            Text(_judge(one), colours[_judge(one)]),
            one.refusal.message if one.refusal else one.last_failure or _tell_customer(one),
            format_amount(one.mapped.total, one.mapped.currency) if one.mapped else "",
        )
        for one in shown
    ]
    show_table(("Invoice", "Would", "Customer, or why not", "Total"), rows, whole=("Invoice", "Would"))
    counts = {verdict: sum(1 for one in shown if _judge(one) == verdict) for verdict in colours}
    say(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) + ". Nothing was written.")
    for guess, count in Counter(one.guess for one in shown if one.guess).items():
        say((f"Of {count}: {guess}", "yellow"))
