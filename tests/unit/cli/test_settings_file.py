"""Settings written by hand: read as meant, and refused with the place, what is allowed and the nearest name."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as profile

from hub.cli.settings_file import (
    build_settings,
    compare_settings,
    dump_settings,
    load_settings_file,
    merge_values,
    parse_values,
)
from schemas.errors import ConfigurationError
from schemas.invoice_settings import InvoiceSettings, LineTarget
from schemas.settings import Settings
from tests.unit.schemas.test_round_trip import SETTINGS


def parse_settings(text: str) -> Settings:
    return build_settings(parse_values(text))


def refuse(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(text)
    return caught.value.message


@profile(max_examples=40, deadline=None)
@given(SETTINGS)
def test_what_is_exported_is_imported_as_it_was(settings: Settings) -> None:
    assert parse_settings(dump_settings(settings)) == settings
    assert compare_settings(settings, parse_settings(dump_settings(settings))) == []


@pytest.mark.parametrize("number", ["6110", "0100", "1e5", "0x10", "NO", "2026-01-31", "1_000", "12:30"])
def test_numbers_are_codes_however_yaml_would_read_them(number: str) -> None:
    settings = parse_settings(f"invoices:\n  lines:\n    type: Account\n    number: {number}\n")

    assert settings.invoices.lines is not None
    assert settings.invoices.lines.number == number.upper()


def test_true_false_and_null_keep_their_meaning() -> None:
    settings = parse_settings("customers:\n  create_missing: false\ninvoices:\n  lines: null\n")

    assert settings.customers.create_missing is False
    assert settings.invoices.lines is None


@pytest.mark.parametrize(("written", "seconds"), [("90", 90), ("1.5", 1.5), ("PT20M", 1200), ("'00:01:00'", 60)])
def test_a_window_is_seconds_or_a_duration(written: str, seconds: float) -> None:
    assert parse_settings(f"doubt_window: {written}").doubt_window == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("triggers: paid", "triggers must be a list: [one, another]"),
        ("invoices: 5", "invoices must be a group of settings"),
        ("invoices: {rounding: {limit: x}}", "invoices.rounding.limit must be a whole number."),
        ("invoices: {products: {table: {p: {type: Konto, number: 1}}}}", "its type must be one of Account, Item,"),
        (
            "invoices: {tax: {rules: [{rate: 19, code: A}]}}",
            "rules.0.rate is not a setting. invoices.tax.rules.0 can have: tax_rate, percent, reason, country, code",
        ),
        ("trigers: [paid]", "trigers is not a setting; did you mean triggers?"),
        ("invoices:\n  line: {}", "invoices.line is not a setting; did you mean invoices.lines?"),
        (
            "invoices:\n  lines: {type: Account, number: 1, taxcode: A}",
            "invoices.lines.taxcode is not a setting; did you mean invoices.lines.tax_code?",
        ),
        (
            "customers:\n  match:\n  - {strip: email, bc: email}",
            "customers.match.0.pairs.0.strip is not a setting; did you mean customers.match.0.pairs.0.stripe?",
        ),
        ("invoices:\n  lines: {type: Acount, number: 1}", "invoices.lines.type must be 'Account' or 'Item'."),
        ("triggers: [void]", "triggers.0 must be 'finalized', 'sent' or 'paid'."),
        ("triggers: [paid, paid]", "triggers: each may be named once"),
        ("invoices:\n  lines: {type: Item}", "invoices.lines.number is missing."),
        (
            "invoices: {tax: {rules: [{reason: reverse-charge, code: RC}]}}",
            "tax.rules.0.reason: 'reverse-charge' is no reason of Stripe's; did you mean reverse_charge? Stripe has ",
        ),
        ("invoices: {tax: {rules: [{reason: Export, code: RC}]}}", "'Export' is no reason of Stripe's: Stripe has "),
        (
            "invoices: {lines: {type: Item, number: A}, tax: {rules: [{percent: 7, code: RC, account: 8300}]}}",
            "a tax rule's account stands for the default account, and invoices.lines names none",
        ),
        ("doubt_window: 0", "doubt_window: it must be greater than"),
        (
            "metadata_prefix: 'my bc'",
            "metadata_prefix: 'my bc' can't be a metadata key of the hub: write 1 to 20 ",
        ),
        ("metadata_prefix: 'bc[x]'", "Stripe takes no brackets, and a key with blanks has no name in templates; "),
        ("metadata_prefix: ' bc[x] '", "; nearest is bc_x."),
        (
            "customers: {number_key: 'BC No.', write_number: true}",
            "customers: 'BC No.' can't be a metadata key of the hub: write 1 to 40 letters",
        ),
        ("metadata_prefix: '✓'", "; nearest is bc_."),
        (
            "fields:\n  invoice:\n  - {field: shipToName, template: a}\n  - {field: shipToName, template: b}",
            "fields.invoice: shipToName is mapped twice; keep one mapping of a field.",
        ),
        (
            "fields:\n  invoice:\n  - field: shipToName\n    template: '{{ invoice.numbr }}'",
            "fields.invoice, mapping 1 (shipToName), line 1, column 4: there is no invoice.numbr; did you mean ",
        ),
        (
            "fields:\n  line:\n  - {field: quantity, template: '2'}",
            "fields.line, mapping 1 (quantity): quantity can't be mapped: it decides the amount",
        ),
        (
            "fields:\n  invoice:\n  - field: shipToName\n    template: {{ invoice.number }}",
            "in line 4. Put the template in quotes, or on lines of its own after >-.",
        ),
        (
            "fields:\n  invoice:\n  - field: shipToName\n    template: {% if invoice.number %}",
            "in line 4. Put the template in quotes, or on lines of its own after >-.",
        ),
        ("a: [", "The file is not YAML"),
        ("- a", "The file must hold settings"),
        ("", "The file must hold settings"),
        ("!!python/object/apply:os.system ['true']", "The file is not YAML"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, words: str) -> None:
    assert words in refuse(text)


def test_accounts_by_tax_are_read_as_codes() -> None:
    rule = "{percent: 7, code: mwst7, account: 8300, accounts: {8410: 8310, 0100: 0200}}"
    settings = parse_settings(f"invoices: {{lines: {{type: Account, number: 8400}}, tax: {{rules: [{rule}]}}}}")

    (read,) = settings.invoices.tax.rules
    assert (read.account, read.accounts) == ("8300", {"8410": "8310", "0100": "0200"})


def test_mappings_are_read_from_yaml_as_they_are_written() -> None:
    settings = parse_settings(
        """
fields:
  customer:
  - field: taxRegistrationNumber
    template: "{{ customer.metadata.vat_id | upcase }}"
    on_invalid: fail
  line:
  - field: description2
    template: >-
      {% if line.period.start != line.period.end %}
      {{ line.period.start | date: "%d.%m.%y" }}
      {% endif %}
"""
    )

    assert settings.fields.customer[0].on_invalid == "fail"
    assert settings.fields.line[0].template.startswith("{% if line.period")
    assert parse_settings(dump_settings(settings)) == settings


def test_a_key_that_is_only_read_may_have_any_characters() -> None:
    settings = parse_settings("customers: {number_key: 'BC No.'}")

    assert settings.customers.number_key == "BC No."


def test_all_mistakes_are_told_at_once() -> None:
    message = refuse("trigers: [paid]\nmetadata_prfix: x\n")

    assert len(message.splitlines()) == 2


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml can't be read"):
        load_settings_file(tmp_path / "missing.yaml")


@profile(max_examples=40, deadline=None)
@given(SETTINGS, SETTINGS)
def test_a_whole_file_put_over_other_settings_is_the_file(old: Settings, new: Settings) -> None:
    file = parse_values(dump_settings(new))

    # A group that the file leaves empty (null) is replaced as a whole, too.
    assert build_settings(merge_values(old.model_dump(), file)) == new


def test_what_a_file_does_not_name_stays_at_every_depth() -> None:
    lines = LineTarget(type="Item", number="I1", tax_code="VAT19")
    old = Settings(triggers=("paid", "sent"), invoices=InvoiceSettings(lines=lines, external_document_prefix="EU-"))

    merged = build_settings(merge_values(old.model_dump(), parse_values("invoices:\n  lines:\n    number: i2\n")))

    changed = old.invoices.model_copy(update={"lines": lines.model_copy(update={"number": "I2"})})
    assert merged == old.model_copy(update={"invoices": changed})


def test_a_group_of_another_type_is_replaced_as_a_whole() -> None:
    old = parse_settings("invoices: {products: {table: {prod_1: {type: Account, number: 1}, prod_2: {type: Comment}}}}")

    change = parse_values("invoices: {products: {table: {prod_1: {type: Comment}}}}")

    table = build_settings(merge_values(old.model_dump(), change)).invoices.products.table
    assert {name: target.type for name, target in table.items()} == {"prod_1": "Comment", "prod_2": "Comment"}


def test_a_list_is_replaced_and_null_empties() -> None:
    old = Settings(triggers=("paid", "sent"), invoices=InvoiceSettings(lines=LineTarget(type="Item", number="I1")))

    merged = build_settings(merge_values(old.model_dump(), parse_values("triggers: [sent]\ninvoices: {lines: null}")))

    assert merged.triggers == ("sent",)
    assert merged.invoices.lines is None


def test_the_difference_shows_old_and_new() -> None:
    lines = compare_settings(Settings(), Settings(metadata_prefix="nav_"))

    assert "-metadata_prefix: bc_" in lines
    assert "+metadata_prefix: nav_" in lines


def test_the_examples_of_the_documents_can_be_imported() -> None:
    docs = Path(__file__).parents[3] / "docs"
    blocks = [
        block
        for name in ("mappings.md", "customers.md", "drafts.md")
        for block in re.findall(r"```yaml\n(.*?)```", (docs / name).read_text(encoding="utf-8"), re.DOTALL)
    ]

    assert len([parse_settings(block) for block in blocks]) >= 4
