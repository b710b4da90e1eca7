"""A seed is a plan that can be run again."""

from collections import Counter
from typing import get_args

from benchmarks.chaos.cuts import CUTS
from benchmarks.chaos.schedule import Kind, build_plan, list_replicas


def test_the_same_seed_is_the_same_plan() -> None:
    assert build_plan(7, 500, 6.0) == build_plan(7, 500, 6.0)
    assert build_plan(7, 500, 6.0).faults != build_plan(8, 500, 6.0).faults


def test_all_faults_begin_while_there_is_load() -> None:
    plan = build_plan(3, 240, 4.0)
    assert all(0 <= fault.at <= plan.load_seconds for fault in plan.faults)
    assert list(plan.faults) == sorted(plan.faults)


def test_every_kind_of_fault_happens_within_a_few_seeds() -> None:
    met = Counter(fault.kind for seed in range(5) for fault in build_plan(seed, 500, 6.0).faults)
    assert set(met) == set(get_args(Kind))
    assert {fault.how for seed in range(5) for fault in build_plan(seed, 500, 6.0).faults} >= set(CUTS)


def test_clocks_go_wrong_on_two_replicas() -> None:
    plan = build_plan(1, 100, 6.0)
    assert len(plan.skews) == 2
    assert set(plan.skews) <= set(list_replicas())
