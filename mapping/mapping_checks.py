"""Field mappings are saved only if each template parses, reads what is there, and ran on the built-in samples."""

from collections.abc import Iterator, Mapping

from mapping.bc_fields import BcField, Entity, find_obstacle, get_field
from mapping.field_values import Context, Misfit, add_line, build_context, render_field
from mapping.palette import find_problem
from mapping.samples import Sample, load_samples
from mapping.template_paths import list_references
from mapping.templates import TemplateError, find_place, parse_template
from mapping.text import Notes
from schemas.field_mappings import FieldMapping, Section
from schemas.settings import Settings

ENTITIES: Mapping[Section, Entity] = {
    "customer": "customers",
    "invoice": "salesInvoices",
    "line": "salesInvoiceLines",
}
_NUMBER = BcField("number", "code", length=20)
_LINE_ROOTS = frozenset({"line", "product", "price"})


def check_templates(settings: Settings) -> tuple[str, ...]:
    """List what is wrong with the templates of settings: a sentence each that names the mapping, the place, the fix."""
    problems: list[str] = []
    for section in ENTITIES:
        for number, mapping in enumerate(settings.fields.get(section), start=1):
            where = f"fields.{section}, mapping {number} ({mapping.field})"
            problems += (f"{where}{problem}" for problem in _check_mapping(section, mapping, settings.time_zone))
    number = settings.customers.new.number
    if "{" in number:
        template = FieldMapping(field="number", template=number)
        found = _check_template("customer", template, _NUMBER, settings.time_zone)
        problems += (f"customers.new.number{problem}" for problem in found)
    return tuple(problems)


def _check_mapping(section: Section, mapping: FieldMapping, time_zone: str) -> Iterator[str]:
    field = get_field(ENTITIES[section], mapping.field)
    if field is None or field.obstacle:
        yield f": {find_obstacle(ENTITIES[section], mapping.field)}"
        return
    yield from _check_template(section, mapping, field, time_zone)


def _check_template(section: Section, mapping: FieldMapping, field: BcField, time_zone: str) -> Iterator[str]:
    """Yield problems, each with its place in front; what stands on a wrong template is not looked at."""
    try:
        parse_template(mapping.template)
    except TemplateError as error:
        yield f"{_at(error.place)}: {error.message}."
        return
    unknown = list(_check_paths(section, mapping))
    yield from unknown or _try_samples(section, mapping, field, time_zone)


def _check_paths(section: Section, mapping: FieldMapping) -> Iterator[str]:
    for reference in list_references(mapping.template):
        problem = find_problem(reference.path, is_printed=reference.is_printed)
        if not problem and section != "line" and reference.path[0] in _LINE_ROOTS:
            problem = f"{reference.path[0]} is known in mappings of lines only; loop over invoice.lines.data"
        if problem:
            line, column = find_place(mapping.template, reference.index)
            yield f"{_at(f'line {line}, column {column}')}: {problem}{'' if problem.endswith('?') else '.'}"


def _try_samples(section: Section, mapping: FieldMapping, field: BcField, time_zone: str) -> Iterator[str]:
    """A template or value that fails on a sample will fail again; what would lose something there may never here."""
    for sample in load_samples():
        for context in _list_contexts(section, sample, time_zone):
            try:
                render_field(mapping, field, context, Notes())
            except Misfit as misfit:
                if not misfit.is_loss:
                    yield f", tried on the sample {sample.name}: {misfit.reason.rstrip('.')}."
                    return


def _list_contexts(section: Section, sample: Sample, time_zone: str) -> Iterator[Context]:
    header = build_context(sample.invoice, sample.customer, time_zone=time_zone)
    if section != "line":
        yield header
        return
    for line in sample.invoice.lines.data:
        details = line.pricing.price_details if line.pricing else None
        product = sample.products.get(details.product or "") if details else None
        yield add_line(header, line, product, sample.prices.get(details.price or "") if details else None)


def _at(place: str) -> str:
    return f", {place}" if place else ""
