"""Times as people give and read them on the command line."""

from datetime import UTC, datetime

from hub.cli.context import Exit, fail


def parse_moment(text: str, option: str) -> datetime:
    """Read an ISO date or date-time; without a zone it is UTC, without a time its midnight."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option}: {text!r} is no ISO date or date-time, such as 2026-01-31 or 2026-01-31T12:00Z.", Exit.USAGE)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def tell_duration(seconds: float) -> str:
    """Write a duration for a reader: `42 s`, `5 min`, `3 h`, `2 d`."""
    for size, unit, until in ((1, "s", 100), (60, "min", 6_000), (3600, "h", 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
