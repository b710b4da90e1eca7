import time
from typing import Any

import pytest

from mapping.templates import TemplateError, find_place, render_template

CONTEXT: dict[str, Any] = {
    "invoice": {
        "number": None,
        "currency": "kwd",
        "total": 57250,
        "created": 1767222000,  # 2025-12-31 23:00 UTC
        "paid": True,
        "lines": {"data": [{"amount": 100}, {"amount": 250}]},
        "custom_fields": [{"name": "PO", "value": "4711"}],
    },
    "customer": {"name": "Müller & Söhne", "metadata": {"my key": "odd", "vat_id": "de123"}},
    "time_zone": "Europe/Copenhagen",
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ customer.metadata.vat_id | upcase }}", "DE123"),
        ('{{ customer.metadata["my key"] }}', "odd"),
        ("{{ invoice.number }}{{ customer.missing.deeper }}", ""),
        ("{{ customer.name }}", "Müller & Söhne"),
        ("{{ invoice.number | append: invoice.number | default: 'none' }}", "none"),
        ("{{ invoice.paid }}", "true"),
        ("{% if invoice.total > 1000.5 %}large{% else %}small{% endif %}", "large"),
        ("{% for f in invoice.custom_fields %}{{ f.name }}: {{ f.value }}{% endfor %}", "PO: 4711"),
        ("{{ invoice.custom_fields[0].value }}{{ invoice.custom_fields.first.name }}", "4711PO"),
        ("{{ invoice.lines.data | map: 'amount' | sum }}", "350"),
        ("{{ invoice.lines.data | where: 'amount', 250 | size }}", "1"),
        ("{{ 'a,b,a' | split: ',' | uniq | join: '; ' }}", "a; b"),
        ("{% case invoice.currency %}{% when 'kwd' %}KD{% endcase %}", "KD"),
        ("{% capture x %}{{ 1 }}{% endcapture %}{% assign y = x | append: 'b' %}{{ y }}", "1b"),
        ("{{ 'abcdef' | slice: -3, 2 }}{{ 'abcdef' | truncate: 5, '.' }}", "deabcd."),
        ("{{ 'x-y-z' | replace_last: '-', '+' | remove_first: '-' }}", "xy+z"),
        ("{# no comment #}{% comment %}x{% endcomment %}{% # y %}", "{# no comment #}"),
    ],
)
def test_templates_read_stripe_objects(template: str, text: str) -> None:
    assert render_template(template, CONTEXT) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ invoice.total | money }}", "57.250"),
        ("{{ invoice.total | money: 'EUR' }}", "572.50"),
        ("{{ 500 | money: 'jpy' }}", "500"),
        ("{{ -5 | money: 'usd' }}", "-0.05"),
        ("{{ '12.5' | money: 'usd' }}", "0.125"),
        ("{{ invoice.number | money }}", ""),
        ("{{ 0.1 | plus: 0.2 }}", "0.3"),
        ("{{ 7 | divided_by: 2 }} {{ 7 | divided_by: 2.0 }}", "3 3.5"),
        ("{{ 2.5 | round }} {{ -2.5 | round }} {{ 1.005 | round: 2 }}", "3 -3 1.01"),
        ("{{ 1 | divided_by: 3.0 }}", "0.333333"),
        ("{{ 0.0000001 | times: 1 }}", "0"),
        ("{{ invoice.number | plus: 2 }}", "2"),
        ("{{ 5 | at_most: 3 }} {{ 5 | at_least: 7 }} {{ 7 | modulo: 4 }} {{ -1.5 | abs }}", "3 7 3 1.5"),
        ("{{ 1.2 | ceil }} {{ 1.8 | floor }}", "2 1"),
    ],
)
def test_amounts_are_exact(template: str, text: str) -> None:
    assert render_template(template, CONTEXT) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ invoice.created | date }}", "2026-01-01"),
        ("{{ invoice.created | date: '%d.%m.%Y %H:%M' }}", "01.01.2026 00:00"),
        ("{{ '2026-03-01' | date: '%d/%m/%y' }}", "01/03/26"),
        ("{{ '2025-12-31T23:30:00Z' | date }}", "2026-01-01"),
        ("{{ invoice.number | date }}", ""),
        ("{{ now }}{{ today }}", ""),
    ],
)
def test_dates_are_the_companys(template: str, text: str) -> None:
    assert render_template(template, CONTEXT) == text


LOOP = "{% for i in (1..30) %}"
STOPPED = [
    ("{% for i in (1..100000000) %}x{% endfor %}", "it loops more than 1,000 times"),
    (LOOP * 3 + "x" + "{% endfor %}" * 3, "it loops more than 1,000 times"),
    ("{% for i in (1..1000) %}" + "{%if 1%}{%endif%}" * 110 + "{% endfor %}", "it takes more than 20,000 steps"),
    ("{% for i in (1..900) %}{{ customer.name" + " | upcase | downcase" * 20 + " }}{% endfor %}", "20,000 steps"),
    ("{% for i in (1..900) %}{{ 'twenty characters ..' }}{% endfor %}", "it prints more than 16,000 bytes"),
    ("{% capture x %}{% for i in (1..900) %}twenty characters ..{% endfor %}{% endcapture %}",
     "it prints more than 16,000 bytes"),
    ("{{ 'x'" + " | replace: 'x', 'xxxxxxxxxx'" * 12 + " }}", "the text grows too long"),
    ("{% assign a = 'xxxxxxxxxx' %}" + "{% assign a = a | append: a %}" * 40, "more than 50,000 characters"),
    ("{% assign a = (1..9) %}" + "{% assign a = a | concat: a %}" * 40, "a value has more than 1,000 parts"),
    ("{% assign a = (1..100000000) %}{{ a | join: ',' }}", "a value has more than 1,000 parts"),
    ("{% assign a = 9 %}" + "{% assign a = a | times: a %}" * 40, "a number is too large"),
    ("{{ '1e999999999' | times: 2 }}", "a number is too large"),
    ("{{ 'x' | date: '%999999999d' }}", "the form of the date has “%9”"),
    ("{% if a %}" * 60 + "{% endif %}" * 60, "it nests more than 30 blocks"),
    ("{{ " + "a[" * 600 + "b" + "]" * 600 + " }}", "it is nested too deep"),
    ("{% if " + "a or " * 390 + "a %}{% endif %}", ""),
    ("{{ " + "x" * 100_000 + " }}", "the template has 100,006 characters; 2,000 are allowed"),
    ("{% include 'other' %}", "unexpected tag 'include'"),
    ("{% render 'other' %}", "unexpected tag 'render'"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "reason"), STOPPED)
def test_what_loops_prints_or_nests_without_end_is_stopped_at_once(template: str, reason: str) -> None:
    started = time.thread_time()
    if not reason:
        render_template(template, CONTEXT)
    else:
        with pytest.raises(TemplateError) as caught:
            render_template(template, CONTEXT)
        assert reason in caught.value.message

    # Some milliseconds as a rule; more only where the machine counts instructions, as coverage does.
    assert time.thread_time() - started < 0.5


@pytest.mark.parametrize(
    ("template", "place", "reason"),
    [
        ("{{ a", "line 1, column 1", "expected '}}'"),
        ("x\n{% if %}{% endif %}", "line 2, column 4", "missing expression"),
        ("{{ 'x' | uppcase }}", "line 1, column 10", "there is no filter uppcase; did you mean upcase?"),
        ("{% iff a %}", "line 1, column 4", "unexpected tag 'iff'"),
        ("a\n b {{ 1 | divided_by: 0 }}", "line 2, column 11", "division by 0"),
        ("{{ 'abc' | plus: 1 }}", "line 1, column 12", "“abc” is no number"),
        ("{{ 'x' | money: 'XXX' }}", "line 1, column 10", "“XXX” is no currency of Stripe"),
        ("{{ 'soon' | date }}", "line 1, column 13", "“soon” is no date"),
        ("{{ 'x' | replace }}", "line 1, column 10", "missing"),
        ("{{ metadata.limit }}", "line 1, column 13", '"limit" is a word of Liquid; write ["limit"] for .limit'),
        ("{% break %}", "line 1, column 4", "unexpected 'break'"),
    ],
)
def test_errors_name_their_place(template: str, place: str, reason: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render_template(template, CONTEXT)

    assert caught.value.place == place
    assert reason in caught.value.message


def test_templates_reach_values_only() -> None:
    attack = "{{ invoice.__class__ }}{{ invoice.keys }}{{ customer.name.__len__ }}{{ invoice.lines.data.append }}"

    assert render_template(attack, CONTEXT) == ""


def test_places_count_from_one() -> None:
    assert find_place("ab\ncd", 0) == (1, 1)
    assert find_place("ab\ncd", 3) == (2, 1)
    assert find_place("ab\ncd", 4) == (2, 2)
