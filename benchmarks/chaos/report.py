"""The report of the proof: docs/reliability.md, written from the results that are kept."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from benchmarks.chaos.http_faults import LOST_ANSWERS
from benchmarks.chaos.protection_results import Caught, load_caught
from benchmarks.chaos.results import Result

_SUMS: Mapping[str, Callable[[Mapping[str, int]], int]] = {
    "processes killed (SIGKILL) or frozen (SIGSTOP), some beyond lease and session": lambda one: (
        one["kill"] + one["freeze"] + one["zombie"]
    ),
    "replicas that left or joined in good order": lambda one: one["leave"] + one["join"],
    "rebalances of consumer groups": lambda one: one["rebalance"],
    "broker restarted or killed": lambda one: one["broker_restart"] + one["broker_kill"],
    "broker frozen": lambda one: one["broker_pause"],
    "Redis restarted or killed": lambda one: one["redis_restart"] + one["redis_kill"],
    "Redis frozen": lambda one: one["redis_pause"],
    "ledger wiped": lambda one: one["wipe"],
    "lines cut (refused, held, dropped, or deaf)": lambda one: one["cut"],
    "answers lost after the write was done": lambda one: sum(one[f"http {label}"] for label in LOST_ANSWERS),
    "other HTTP faults of Business Central": lambda one: _sum_http(one, ("BC", "bc_")),
    "other HTTP faults of Stripe": lambda one: _sum_http(one, ("Stripe", "stripe_")),
    "access tokens revoked": lambda one: one["bc_token_revoked"],
    "webhooks failed or dropped": lambda one: one["webhook failed"] + one["webhook dropped"],
}
# What a whole proof is to reach.
_SEEDS, _INVOICES = 20, 10_000
_WANTED = {
    "processes killed (SIGKILL) or frozen (SIGSTOP), some beyond lease and session": 200,
    "rebalances of consumer groups": 100,
    "broker restarted or killed": 40,
    "Redis restarted or killed": 40,
    "ledger wiped": 20,
    "answers lost after the write was done": 500,
}

_HEAD = """\
# Reliability

Written by the fault bench; do not edit. How it works: [benchmarks/README.md](../benchmarks/README.md).

    uv run python -m benchmarks.chaos --seeds {seeds} --invoices {invoices} --report docs/reliability.md
    uv run python -m benchmarks.chaos.protections --report docs/reliability.md

Each seed runs the whole hub as processes of its own, two replicas of each service, on Apache Kafka and a real Redis,
against strict simulators of Stripe and Business Central: two Stripe accounts with the same customers on one company.
While invoices come in, all of the below goes wrong, at times drawn from the seed. What the faults of a seed meet
depends on the machine too, so a seed is a plan that can be run again, not a run that can be repeated.
"""

_LIMITS = """\
## What this does not show

- **A zombie's last request.** A process that is frozen between writing its intent and sending its request, for longer
  than the doubt window, may send it after another has made the draft. Business Central has no key or token by which it
  could refuse that. The bench's zombies outlive session and lease, and wake within the doubt window.
- Minutes are seconds here (a doubt window of 10 s, leases of 6 s). What Business Central does for longer than the
  window, the hub can't know of.
- **Usage after a loss of the ledger.** What was synced while nothing but the lost ledger knew of it (before Stripe was
  told) does not count; `hub usage rebuild` counts the rest again. So usage may be too low after a loss, by the number
  above, and is never too high.
- One broker and one Redis, each with its disk: a failover to a replica that lags is tested apart (`tests/pipeline`).
- "Before anything cleans up": every draft and customer that Business Central was ever made to create is counted, what
  was deleted since as well.
"""


def build_report(results: Sequence[Result]) -> str:
    """Write the report."""
    if not results:
        return _HEAD.format(seeds="1-20", invoices=500)
    head = _HEAD.format(seeds=_name_seeds(results), invoices=max(one.invoices for one in results))
    parts = [head, _tell_outcome(results), _list_faults(results), _list_seeds(results)]
    if caught := load_caught():
        parts.append(_list_protections(caught))
    return "\n".join([*parts, _LIMITS])


def _tell_outcome(results: Sequence[Result]) -> str:
    wrong: Counter[str] = sum((Counter(one.wrong) for one in results), Counter())
    made: Counter[str] = sum((Counter(one.made_twice) for one in results), Counter())
    usage: Counter[str] = sum((Counter(one.usage) for one in results), Counter())
    rows = [
        ("invoices that must have a draft", sum(one.due for one in results)),
        ("drafts ever made beyond the first (before anything cleans up)", made["drafts"]),
        ("invoices with two drafts at the end", wrong["doubled"]),
        ("customers ever made beyond the first (before anything cleans up)", made["customers"]),
        ("customers that are there twice at the end", wrong["doubled customer"]),
        ("invoices lost", wrong["lost"]),
        ("wrong totals", wrong["wrong total"]),
        ("untrue statuses", wrong["untrue status"]),
        ("invoices failed", wrong["failed"]),
        ("drafts of no due invoice", wrong["orphan"]),
        ("messages in the dead topic", wrong["dead"]),
        ("synced invoices", usage["synced"]),
        ("counted as usage", usage["counted"]),
        ("not counted, for the wiped ledger alone knew of the success", usage["forgotten"]),
        ("counted wrongly otherwise", wrong["wrong usage"]),
    ]
    clean = sum(one.clean for one in results)
    head = f"## What came out: {clean} of {len(results)} seeds are clean\n\n"
    if len(results) < _SEEDS or sum(one.due for one in results) < _INVOICES:
        head += f"**This proof is not whole yet**: it takes {_SEEDS} seeds and {_INVOICES:,} invoices.\n\n"
    return head + _build_table(("", "number"), rows)


def _list_faults(results: Sequence[Result]) -> str:
    tally: Counter[str] = sum((Counter(one.tally) for one in results), Counter())
    rows = [(name, count(tally), _WANTED.get(name, "")) for name, count in _SUMS.items()]
    http = sorted(name for name in tally if name.startswith("http "))
    single = [(name.removeprefix("http "), tally[name]) for name in http]
    return (
        "## What went wrong, in all seeds\n\n"
        + _build_table(("", "number", "a whole proof has at least"), rows)
        + "\nHTTP faults, one by one:\n\n"
        + _build_table(("", "number"), single)
    )


def _list_seeds(results: Sequence[Result]) -> str:
    columns = (
        "seed",
        "invoices",
        "drafts",
        "told",
        "twice",
        "verdict",
        "kills and freezes",
        "ended by themselves",
        "seconds",
        "commit",
    )
    rows = [
        (
            one.seed,
            one.due,
            one.drafts,
            one.told,
            sum(one.made_twice.values()),
            _tell_verdict(one),
            sum(one.tally.get(kind, 0) for kind in ("kill", "freeze", "zombie")),
            one.crashes,
            one.seconds,
            one.version,
        )
        for one in results
    ]
    words = "\nWhat ended by itself (at a start without Kafka or Redis, or killed in its start) was started again.\n"
    return "## Seed by seed\n\n" + _build_table(columns, rows) + words


def _tell_verdict(result: Result) -> str:
    if result.clean:
        return "clean"
    return ", ".join(f"{number} {name}" for name, number in result.wrong.items()) or "not settled"


def _list_protections(caught: Sequence[Caught]) -> str:
    rows = [
        (
            one.protection,
            one.words,
            f"seed {one.seed}" if one.seed is not None else "**not caught**",
            one.found,
            one.intact,
        )
        for one in caught
    ]
    return (
        "## Each protection is needed\n\n"
        "Each is taken out in the bench's own processes, with catch-up and the sweep off, and with faults aimed at\n"
        "its step. What the same faults do with all protections in is in the last column.\n\n"
        + _build_table(("without", "faults aimed at it", "caught by", "what went wrong", "with all protections"), rows)
    )


def _build_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(_to_cell(cell) for cell in line) + " |\n" for line in lines)


def _to_cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sum_http(tally: Mapping[str, int], prefixes: tuple[str, ...]) -> int:
    """Sum what went wrong with a system's answers; slowness counts, lost answers count elsewhere."""
    names = [name for name in tally if name.startswith(tuple(f"http {one}" for one in prefixes))]
    return sum(tally[name] for name in names if name.removeprefix("http ") not in LOST_ANSWERS)


def _name_seeds(results: Sequence[Result]) -> str:
    seeds = [one.seed for one in results]
    if len(seeds) < _SEEDS:
        return f"1-{_SEEDS}"
    if seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))
