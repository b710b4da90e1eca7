"""Fields of Business Central filled by a user's templates, each value in the form that its type asks for."""

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from mapping.bc_fields import BcField, Entity, FieldType, find_obstacle, get_credit_memo_field, get_field
from mapping.stripe_views import show
from mapping.template_filters import TIME_ZONE
from mapping.templates import TemplateError, render_template
from mapping.text import Notes, fit_code, fit_email, fit_phone, fit_text, tidy
from schemas.errors import Refused
from schemas.field_mappings import FieldMapping
from schemas.money import read_number
from schemas.stripe_objects import Customer, Invoice, Line, Price, Product

Value = str | bool | int | Decimal
Context = dict[str, Any]
_QUOTED = 60
_UNBOUNDED = 2_048
_FIRST_DATE = date(1753, 1, 1)  # SQL Server's
_DECIMAL_LIMIT = Decimal(10) ** 15
_ENCODED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Misfit(Exception):  # noqa: N818 - it is told of a value, not of a program
    """A template that fails, or a value that its field can't take. `is_loss`: it could, less a part of it."""

    def __init__(self, reason: str, *, is_loss: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_loss = is_loss


def build_context(
    invoice: Invoice | None = None, customer: Customer | None = None, *, time_zone: str = "UTC"
) -> Context:
    """Build what templates of the header or of a customer see: `invoice`, `customer`, `metadata` (the invoice's)."""
    return {
        "invoice": show(invoice),
        "customer": show(customer),
        "metadata": invoice.metadata if invoice else {},
        TIME_ZONE: time_zone,
    }


def add_line(context: Context, line: Line, product: Product | None = None, price: Price | None = None) -> Context:
    """Return the context with a line of the invoice, and what is sold by it."""
    return context | {"line": show(line), "product": show(product), "price": show(price)}


def render_fields(
    mappings: Iterable[FieldMapping], entity: Entity, context: Mapping[str, Any], notes: Notes, *, of: str = ""
) -> dict[str, Value]:
    """Render each mapping to the value of its field; what renders empty is left out, so the field keeps its default.

    Mappings of invoices serve credit memos too: `invoiceDate` is `creditMemoDate` there, and what a credit memo has no
    field for is noted and left out. `of` names the document or line for the reader: ` of invoice A-1`.

    Raises:
        Refused: a template fails, or its value is not allowed and the mapping says `fail`, or can't be cut.
    """
    values: dict[str, Value] = {}
    for mapping in mappings:
        field = _find_target(mapping, entity, notes)
        if field is None:
            continue
        try:
            value = render_field(mapping, field, context, notes, of=of)
        except Misfit as misfit:
            raise _refuse(mapping, field, of, misfit) from misfit
        if value is not None:
            values[field.name] = value
    return values


def render_field(
    mapping: FieldMapping, field: BcField, context: Mapping[str, Any], notes: Notes, *, of: str = ""
) -> Value | None:
    """Render one mapping; None where it comes to nothing.

    Raises:
        Misfit: the template fails, or its value is none for the field.
    """
    try:
        text = render_template(mapping.template, context)
    except TemplateError as error:
        raise Misfit(f"{error.place}: {error.message}" if error.place else error.message) from error
    if not text.strip():
        return None
    read = _READERS.get(field.type)
    if read is None:
        return _fit(mapping, field, text, notes, of) or None
    value = read(text.strip(), field)
    if value is None:
        raise Misfit(f"{_quote(text.strip())} is no {_WANTED[field.type]}")
    return value


def _find_target(mapping: FieldMapping, entity: Entity, notes: Notes) -> BcField | None:
    named = "salesInvoices" if entity == "salesCreditMemos" else entity
    if obstacle := find_obstacle(named, mapping.field):
        raise Refused(
            obstacle,
            code="mapping.field.unusable",
            fix="Take it out of the settings under fields, or name another (hub settings fields); then replay.",
        )
    if entity != "salesCreditMemos":
        return get_field(entity, mapping.field)
    field = get_credit_memo_field(mapping.field)
    if field is None:
        notes.add(f"{mapping.field} was left out: credit memos have no such field in Business Central.")
    return field


def _fit(mapping: FieldMapping, field: BcField, text: str, notes: Notes, of: str) -> str:
    """Make text fit for its field, and refuse where something would be lost that must not be."""
    if mapping.on_invalid == "fail" or field.record:
        tried = Notes()
        _fit_field(field, text, "it", tried)
        if tried.losses:
            raise Misfit(f"{_quote(tidy(text))} would not arrive whole: {tried.losses[0]}", is_loss=True)
    return _fit_field(field, text, f"{field.name}{of}", notes)


def _fit_field(field: BcField, text: str, what: str, notes: Notes) -> str:
    if field.format == "phone":
        return fit_phone(text, what, notes)
    if field.format == "email":
        return fit_email(text, what, notes)
    fit = fit_code if field.type == "code" else fit_text
    return fit(text, field.length or _UNBOUNDED, what, notes)


def _read_date(text: str, _: BcField) -> str | None:
    """Read an ISO date that SQL Server can hold."""
    try:
        found = date.fromisoformat(text) if len(text) == len("2026-03-01") else None
    except ValueError:
        return None
    return found.isoformat() if found is not None and found >= _FIRST_DATE else None


def _read_decimal(text: str, _: BcField) -> Decimal | None:
    try:
        number = read_number(text)
    except ValueError:
        return None
    return number if abs(number) < _DECIMAL_LIMIT else None


def _read_int(text: str, _: BcField) -> int | None:
    return int(text) if re.fullmatch(r"-?\d{1,9}", text, re.ASCII) else None


def _read_bool(text: str, _: BcField) -> bool | None:
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower())


def _read_guid(text: str, _: BcField) -> str | None:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def _read_enum(text: str, field: BcField) -> str | None:
    """Accept a member as people write it, `Fixed Asset`, or as it travels."""
    wanted = text.casefold()
    return next((one for one in field.members if wanted in {one.casefold(), decode_member(one).casefold()}), None)


def decode_member(member: str) -> str:
    """Write a member of an enum as people do: `Fixed_x0020_Asset` is Fixed Asset."""
    return _ENCODED.sub(lambda found: chr(int(found[1], 16)), member).strip()


_READERS: Mapping[FieldType, Callable[[str, BcField], Value | None]] = {
    "bool": _read_bool,
    "date": _read_date,
    "decimal": _read_decimal,
    "enum": _read_enum,
    "guid": _read_guid,
    "int": _read_int,
}
_WANTED: Mapping[FieldType, str] = {
    "bool": "yes or no; write true or false",
    "date": "date; write it like 2026-03-01, with the filter date",
    "decimal": "number that the field can hold; write it like 1234.50",
    "enum": "member of the field",
    "guid": "id (GUID) of a record in Business Central",
    "int": "whole number",
}


def _quote(text: str) -> str:
    return f"“{text[:_QUOTED]}{'…' if len(text) > _QUOTED else ''}”"


def _refuse(mapping: FieldMapping, field: BcField, of: str, misfit: Misfit) -> Refused:
    return Refused(
        f"The mapping of {field.name}{of} can't be used: {misfit.reason.rstrip('.')}.",
        code="mapping.value.unfit",
        fix=f"Correct the template {_quote(mapping.template)} under fields in the settings, or the value in Stripe; "
        "then replay.",
    )
