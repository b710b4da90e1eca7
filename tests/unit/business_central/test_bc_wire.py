"""Numbers, filters and enums survive the wire."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.business_central.exact_json import build_json, parse_json
from connectors.business_central.odata import build_equals_any, build_url, decode_enum, parse_guid

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e18"), max_value=Decimal("1e18"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | DECIMALS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read_back_as_the_same_value(value: Any) -> None:
    assert parse_json(build_json(value)) == value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_without_decimals_it_is_plain_json(value: Any) -> None:
    assert json.loads(build_json(value)) == value


def test_a_decimal_is_written_digit_by_digit() -> None:
    assert build_json({"a": Decimal("10.50"), "b": (Decimal("1E+3"), True)}) == '{"a":10.50,"b":[1000,true]}'


@pytest.mark.parametrize("value", [0.1, {1: "a"}, object(), {"a": [b"x"]}])
def test_what_is_not_exact_json_is_a_defect(value: Any) -> None:
    with pytest.raises(TypeError):
        build_json(value)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity")])
def test_what_is_no_number_is_not_sent(value: Decimal) -> None:
    with pytest.raises(ValueError, match="not a JSON number"):
        build_json(value)


@given(st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_any_value_travels_through_a_filter(text: str) -> None:
    url = build_url("https://bc.example", "customers", filter=build_equals_any("email", [text]))
    assert urlsplit(url).path == "/customers"
    literal = parse_qs(urlsplit(url).query, keep_blank_values=True)["$filter"][0].removeprefix("email eq ")
    assert literal[1:-1].replace("''", "'") == text
    assert "'" not in literal[1:-1].replace("''", "")


def test_several_values_are_joined_by_or_over_one_field() -> None:
    assert build_equals_any("number", ["A", "B'"]) == "number eq 'A' or number eq 'B'''"


@pytest.mark.parametrize(
    ("wire", "plain"),
    [("_x0020_", ""), ("In_x0020_Review", "In Review"), ("Begin_x002D_Total", "Begin-Total"), ("Draft", "Draft")],
)
def test_enums_are_decoded(wire: str, plain: str) -> None:
    assert decode_enum(wire) == plain


def test_ids_are_written_as_business_central_does() -> None:
    assert parse_guid("{B41F77D3-82DF-EE11-A1F9-6045BD8E1A10}") == "b41f77d3-82df-ee11-a1f9-6045bd8e1a10"
    assert parse_guid("b41f77d3") is None
