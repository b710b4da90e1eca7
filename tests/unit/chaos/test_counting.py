"""What the bench counts, counted by hand."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.chaos.groups import count_rounds
from benchmarks.chaos.protections import ATTACKS, build_attack_plan
from benchmarks.chaos.report import build_report
from benchmarks.chaos.results import Result, load_results, save_result
from benchmarks.chaos.usage import compare
from benchmarks.chaos.without import PROTECTIONS

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def _at(seconds: float, member: str) -> tuple[datetime, str]:
    return NOON + timedelta(seconds=seconds), member


def _build_result(seed: int = 1, *, wrong: dict[str, int] | None = None) -> Result:
    return Result(
        seed=seed,
        invoices=500,
        per_second=6.0,
        clean=not wrong,
        due=500,
        drafts=500,
        told=500,
        customers=83,
        wrong=wrong or {},
        made_twice={"drafts": 0, "customers": 0},
        usage={"synced": 500, "counted": 498, "forgotten": 2},
        tally={"kill": 9, "freeze": 4, "zombie": 2, "http BC: 503": 25},
        crashes=0,
        illnesses=0,
        seconds=180,
        settled_after=60,
        at="2026-11-26T12:00:00+00:00",
        version="abc1234",
    )


def test_members_assigned_at_one_time_are_one_rebalance() -> None:
    assert count_rounds([_at(0, "a"), _at(0.2, "b"), _at(9, "a"), _at(9.1, "b"), _at(9.2, "c")]) == 2


def test_a_member_assigned_again_is_in_the_next_rebalance() -> None:
    assert count_rounds([_at(0, "a"), _at(0.3, "a"), _at(0.4, "b")]) == 2


def test_usage_that_counts_what_was_synced_is_right() -> None:
    assert compare({"in_1", "in_2"}, Counter({"in_1": 1, "in_2": 1}), set()) == []


def test_usage_that_counts_twice_too_much_or_too_little_is_wrong() -> None:
    offences = compare({"in_1", "in_2", "in_3"}, Counter({"in_1": 2, "in_9": 1}), {"in_3"})
    assert {one.about: one.words for one in offences} == {
        "in_1": "counts 2 times",
        "in_9": "counts, and was not synced",
        "in_2": "was synced, and does not count",
    }


def test_a_seed_that_ran_again_takes_the_place_of_its_first_result(tmp_path: Path) -> None:
    kept = tmp_path / "results.jsonl"
    for result in (_build_result(2), _build_result(1, wrong={"lost": 1}), _build_result(1)):
        save_result(result, kept)
    assert load_results(kept) == [_build_result(1), _build_result(2)]


def test_the_report_says_which_seed_lost_something() -> None:
    report = build_report([_build_result(1), _build_result(2, wrong={"lost": 3})])
    assert "1 of 2 seeds are clean" in report
    assert "| invoices lost | 3 |" in report
    assert "| 2 | 500 | 500 | 500 | 0 | 3 lost | 15 |" in report
    assert "| 30 | 200 |" in report


def test_every_protection_has_faults_aimed_at_it() -> None:
    assert {attack.protection for attack in ATTACKS} == set(PROTECTIONS)
    assert all(attack.rules or build_attack_plan(attack, 1).faults for attack in ATTACKS)
