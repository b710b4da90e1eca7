"""The time zone that days are counted in: the one that is set, else the one that Stripe's dashboard shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.errors import ConfigurationError
from schemas.settings import UNSET_TIME_ZONE, Settings, is_time_zone

ZoneSource = Literal["settings", "stripe", "default"]


@dataclass(frozen=True)
class ChosenZone:
    """A time zone, and where it is from; `default` is one that nobody chose."""

    name: str
    source: ZoneSource

    @property
    def words(self) -> str:
        """Say which days it makes."""
        told = {
            "settings": "as the settings say",
            "stripe": "as the account's dashboard in Stripe says; choose another with --time-zone",
            "default": "because nobody has chosen a time zone",
        }[self.source]
        return f"Days are counted in {self.name}, {told}."


def choose_time_zone(settings: Settings, *, is_given: bool, is_new: bool, told: str | None) -> ChosenZone:
    """Choose the time zone of a connection that is added.

    Args:
        settings: Stored, file and options together.
        is_given: The file or an option names it now.
        is_new: There is no such connection yet. Of one that has drafts, the days must not move by themselves.
        told: Of the account's dashboard in Stripe; None where it does not say.

    Raises:
        ConfigurationError: nobody tells it, so that it must be given.
    """
    if is_given or settings.time_zone != UNSET_TIME_ZONE:
        return ChosenZone(settings.time_zone, "settings")
    if not is_new:
        return ChosenZone(settings.time_zone, "default")
    if told is not None and is_time_zone(told):
        return ChosenZone(told, "stripe")
    raise ConfigurationError(
        "The company's time zone is not known: Stripe does not tell one for this account. The date of every invoice "
        "depends on it. Give it with --time-zone, for example --time-zone Europe/Copenhagen.",
        code="settings.time_zone.unknown",
    )


def names_time_zone(*values: Mapping[str, Any]) -> bool:
    """Tell whether one of these groups of settings names it."""
    return any(one.get("time_zone") is not None for one in values)


def describe_zone_risk(settings: Settings, told: str | None) -> str:
    """Say what is doubtful about the time zone, and what to set; empty where somebody chose it."""
    if settings.time_zone != UNSET_TIME_ZONE:
        return ""
    wanted = told if told is not None and is_time_zone(told) else "Europe/Copenhagen"
    known = f" The account's dashboard in Stripe is set to {told}." if told is not None else ""
    return (
        f"Nobody has chosen the company's time zone, so days are counted in UTC: near midnight an invoice gets another "
        f"date than in your books.{known} Write time_zone: {wanted} (or Etc/UTC) into a file, and import it."
    )
