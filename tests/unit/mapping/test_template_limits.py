"""Whatever a template does, it ends within its limits: with a text, or with a TemplateError and nothing else.

Work is counted in calls and not in seconds, so that a busy machine changes nothing.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mapping.template_paths import list_references
from mapping.templates import OUTPUT_LIMIT, TemplateError, list_filters, render_template
from schemas.money import TooManyDigits, read_number

MOST_CALLS = 1_500_000
"""A second or two, while each call is counted; some tens of milliseconds otherwise."""
HOSTILE = [
    "", "0", "-1", "1E-400000000", "1E+400000000", "0E-400000000", "9" * 5_000, "NaN", "Infinity", "-sNaN123",
    "x" * 40_000, "²", "١٢", "1_000", "\x00", "\ud800", "../../etc/passwd", "{{ invoice }}", "%", "%99999999d",
    "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "99999999999999",
]  # fmt: skip
CONTEXT: dict[str, Any] = {
    "invoice": {
        "currency": "kwd",
        "total": 57250,
        "lines": {"data": [{"amount": i, "description": "x" * 100} for i in range(900)]},
    },
    "customer": {"name": "A", "address": {"country": None}},
    "metadata": {"list": list("abc") * 300, **{f"m{number}": text for number, text in enumerate(HOSTILE)}},
    "time_zone": "Europe/Copenhagen",
}
NAMES = st.sampled_from(
    ["invoice", "customer", "invoice.lines.data", "invoice.lines.data[0]", "metadata.list", "metadata", "a", "b",
     "forloop", "time_zone", "now", "missing", "a.size", "a.first", "a[b]", "invoice.total", "forloop.parentloop.index",
     *(f"metadata.m{number}" for number in range(len(HOSTILE)))]
)  # fmt: skip
RANGES = st.sampled_from(
    ["(1..9)", "(1..1000)", "(1..99999999)", "(1..999999999999999999999999)", "(-5..a)", "(a..b)", "('x'..1e9)"]
)
LITERALS = st.sampled_from(
    ["1", "-7", "0.1", "1e9", "'x'", "''", "'%Y'", "'%99999999d'", "'EUR'", "nil", "true", "empty"]
)
VALUES = NAMES | LITERALS | RANGES
ARGUMENTS = st.just("") | st.builds(": {}".format, VALUES) | st.builds(": {}, {}".format, VALUES, VALUES)
CALLS = st.builds(" | {}{}".format, st.sampled_from(list_filters()), ARGUMENTS)
FILTERED = st.builds("{}{}".format, VALUES, st.lists(CALLS, max_size=6).map("".join))
OPERATORS = st.sampled_from(["==", "!=", "<", ">=", "contains", "and", "or"])
CONDITIONS = st.builds("{} {} {}".format, VALUES, OPERATORS, VALUES)
OPTIONS = ["", "reversed", "limit: 3", "offset: 9999999", "limit: a offset: b", "offset: continue reversed"]
LOOPS = st.builds("a in {} {}".format, VALUES, st.sampled_from(OPTIONS))


def _build_blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{{% for {} %}}{}{{% endfor %}}".format, LOOPS, inner),
        st.builds("{{% if {0} %}}{1}{{% else %}}{1}{{% endif %}}".format, CONDITIONS, inner),
        st.builds("{{% unless {} %}}{}{{% endunless %}}".format, CONDITIONS, inner),
        st.builds("{{% capture a %}}{}{{% endcapture %}}".format, inner),
        st.builds("{{% case {0} %}}{{% when {0} %}}{1}{{% endcase %}}".format, VALUES, inner),
        st.lists(inner, min_size=2, max_size=4).map("".join),
    )


LEAVES = st.one_of(
    st.just("text"),
    FILTERED.map("{{{{ {} }}}}".format),
    st.builds("{{% assign {} = {} %}}".format, st.sampled_from(["a", "b", "time_zone"]), FILTERED),
    st.sampled_from(
        "{% break %}|{% continue %}|{% cycle 'a', 'b' %}|{% increment a %}|{% tablerow a in b %}|{% include 'x' %}|"
        "{% render 'x' %}|{% macro a %}|{% raw %}|{% liquid echo 1 %}|{%|{{|}}".split("|")
    ),
)
TEMPLATES = st.recursive(LEAVES, _build_blocks, max_leaves=12)


class _TooMuch(BaseException):
    """Not an Exception, so that nobody takes it for a template's fault."""


@contextmanager
def count_calls() -> Generator[None]:
    """Fail when more is called than any template may cause."""
    left = MOST_CALLS

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            sys.setprofile(None)
            raise _TooMuch

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEMPLATES)
@example("{% for a in (1..99999999) reversed %}x{% endfor %}")
@example("{% for a in (1..99999999) limit: 1 offset: 99999990 %}x{% endfor %}")
@example("{% if (1..99999999) contains 'x' %}{% endif %}")
@example("{% assign time_zone = 'Europe' %}{{ 1 | date }}")
@example("{% assign time_zone = '../../../etc/passwd' %}{{ 1 | date }}")
@example("{% for a in (1..900) %}{{ invoice | truncate: 1 }}{% endfor %}")
@example("{{ metadata.m3 | money: 'EUR' }}")
def test_every_template_ends_with_a_text_or_a_template_error(template: str) -> None:
    with count_calls():
        with suppress(TemplateError):
            assert len(render_template(template, CONTEXT)) <= OUTPUT_LIMIT
        with suppress(TemplateError):
            list_references(template)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="{}%|[]()'\"., \n:a1=<>-.\\#", max_size=200))
def test_no_text_is_anything_but_a_template_or_an_error(template: str) -> None:
    with count_calls(), suppress(TemplateError):
        render_template(template, CONTEXT)


@pytest.mark.parametrize("name", list_filters())
def test_every_filter_ends_whatever_it_is_given(name: str) -> None:
    """Each filter on each hostile value, with none, one and two of them as arguments."""
    arguments = [f"metadata.m{number}" for number in range(len(HOSTILE))] + ["invoice", "metadata.list", "nil"]
    for value in arguments:
        for more in ("", *(f": {one}" for one in arguments), ": 'x', metadata.m3", ": 1, metadata.m6"):
            with suppress(TemplateError):
                assert len(render_template(f"{{{{ {value} | {name}{more} }}}}", CONTEXT)) <= OUTPUT_LIMIT


def test_a_template_can_not_name_the_time_zone() -> None:
    """Names of time zones are names of files."""
    evening = {**CONTEXT, "created": 1767222000}  # 2025-12-31 23:00 UTC
    for name in ("UTC", "America/Lima", "../../../etc/passwd", "Europe"):
        assert render_template(f"{{% assign time_zone = '{name}' %}}{{{{ created | date }}}}", evening) == "2026-01-01"


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/passwd", "Europe", "", "x\x00", "\ud800", "Nowhere/Land"])
def test_a_time_zone_that_is_none_is_an_error_of_the_template(zone: str) -> None:
    with pytest.raises(TemplateError, match="there is no time zone"):
        render_template("{{ 1 | date }}", {"time_zone": zone})


@pytest.mark.parametrize(
    "text", ["1", "-0.5", "19.990000000000001", "1E+30", "1e-12", "123456789012345678.123456", "0", "0E3"]
)
def test_numbers_of_a_sensible_length_are_read(text: str) -> None:
    assert len(f"{read_number(text):f}") <= 62


@pytest.mark.parametrize(
    "text",
    [
        "1E-400000000",
        "1E+400000000",
        "0E-400000000",
        "0E+400000000",
        "9" * 61,
        "0." + "0" * 60 + "1",
        "-1e-60",
        "1" * 10**6,
    ],
)
def test_numbers_that_would_fill_memory_are_not(text: str) -> None:
    with pytest.raises(TooManyDigits):
        read_number(text)


@pytest.mark.parametrize("text", ["", "x", "NaN", "sNaN", "Infinity", "-inf", "1,5", "\x00", "\ud800", "1e"])
def test_what_is_no_finite_number_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read_number(text)
