"""Payment terms: the due date from a document date and a date formula such as 30D or CM+1M."""

import calendar
import re
from datetime import date, timedelta

_PART = re.compile(r"([+-]?)(?:(C)([DWMQY])|(\d+)([DWMQY]))")
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_DAYS = {"D": 1, "W": 7}


def due_date(start: str, formula: str) -> str:
    """Apply a date formula; blank leaves the date as it is. Raises ValueError for a formula that does not parse."""
    day = date.fromisoformat(start)
    text = formula.strip("<>").upper()
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise ValueError(formula)
        day = _apply(day, match)
        at = match.end()
    return day.isoformat()


def _apply(day: date, match: re.Match[str]) -> date:
    sign = -1 if match[1] == "-" else 1
    if match[2]:
        return _end_of(day, match[3]) if sign > 0 else _start_of(day, match[3])
    count, unit = sign * int(match[4]), match[5]
    return day + timedelta(count * _DAYS[unit]) if unit in _DAYS else _add_months(day, count * _MONTHS[unit])


def _add_months(day: date, count: int) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(years, month + 1, min(day.day, calendar.monthrange(years, month + 1)[1]))


def _start_of(day: date, unit: str) -> date:
    match unit:
        case "M":
            return day.replace(day=1)
        case "Q":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "Y":
            return day.replace(month=1, day=1)
        case "W":
            return day - timedelta(day.weekday())
        case _:
            return day


def _end_of(day: date, unit: str) -> date:
    if unit == "W":
        return _start_of(day, unit) + timedelta(6)
    if unit in _MONTHS:
        return _add_months(_start_of(day, unit), _MONTHS[unit]) - timedelta(1)
    return day
