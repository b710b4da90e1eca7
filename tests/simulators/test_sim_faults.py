"""The drawing of faults that both simulators share."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from simulators.business_central.faults import BcFault
from simulators.faults import FaultBook, FaultRule
from simulators.stripe.faults import StripeFault


@dataclass(kw_only=True)
class Fault(FaultRule):
    KINDS: ClassVar[frozenset[str]] = frozenset({"latency", "status", "cut"})

    after: bool = False


def build_book(*rules: dict[str, Any], seed: int = 1) -> FaultBook[Fault]:
    book = FaultBook(Fault, random.Random(seed))
    for rule in rules:
        book.add(rule)
    return book


def draw_kinds(book: FaultBook[Fault], method: str = "POST", path: str = "/v1/invoices") -> list[str]:
    return [rule.kind for rule in book.draw(method, path)]


def test_latencies_add_up_and_of_the_others_the_first_strikes() -> None:
    book = build_book({"kind": "latency"}, {"kind": "cut"}, {"kind": "status"}, {"kind": "latency"})

    assert draw_kinds(book) == ["latency", "cut", "latency"]
    assert book.applied == {"latency": 2, "cut": 1}


def test_a_rule_strikes_where_it_matches_and_as_often_as_it_says() -> None:
    book = build_book({"kind": "cut", "count": 2, "match": {"method": "POST", "path_regex": "invoices$"}})

    assert draw_kinds(book, "GET") == []
    assert draw_kinds(book, path="/v1/invoices/in_1") == []
    assert [draw_kinds(book) for _ in range(3)] == [["cut"], ["cut"], []]


def test_a_seed_repeats_the_dice() -> None:
    def throw(book: FaultBook[Fault]) -> list[bool]:
        return [bool(draw_kinds(book)) for _ in range(40)]

    rule = {"kind": "cut", "probability": Decimal("0.5")}
    first = throw(build_book(rule, seed=7))

    assert {True, False} == set(first)
    assert throw(build_book(rule, seed=7)) == first
    assert throw(build_book(rule, seed=8)) != first
    # A rule's own seed makes it independent of the book's.
    assert throw(build_book({**rule, "seed": 3}, seed=7)) == throw(build_book({**rule, "seed": 3}, seed=8))


def test_rules_are_removed_one_or_all() -> None:
    book = build_book({"kind": "cut"}, {"kind": "status"})

    book.remove("fault_1")
    assert draw_kinds(book) == ["status"]
    book.remove(None)
    assert draw_kinds(book) == []


@pytest.mark.parametrize("form", [BcFault, StripeFault])
@pytest.mark.parametrize(
    "rule", [{}, {"kind": "nonsense"}, {"kind": "status", "statsu": 500}, {"kind": "status", "id": "x"}]
)
def test_a_rule_that_is_not_understood_is_refused(form: type[FaultRule], rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a fault needs a kind of"):
        FaultBook(form, random.Random(1)).add(rule)


def test_a_rule_is_shown_as_it_was_given() -> None:
    given = {"kind": "status", "status": 429, "probability": 0.5, "retry_after": 2.0, "after": True, "count": 3}

    shown = build_book({**given, "code": None}).shown()["rules"][0]

    assert {name: shown[name] for name in given} == given
    assert shown["match"] == {"method": None, "path_regex": "", "body_regex": ""}


@pytest.mark.parametrize(("status", "stored", "kept"), [(500, None, True), (503, None, False), (503, True, True)])
def test_an_idempotency_key_keeps_a_500_only_unless_told_otherwise(
    status: int, stored: bool | None, kept: bool
) -> None:
    rule = FaultBook(StripeFault, random.Random(1)).add({"kind": "status", "status": status, "stored": stored})

    assert rule.is_stored is kept
