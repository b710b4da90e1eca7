"""The time zone of a connection: chosen, else told by Stripe, never silently UTC."""

from datetime import UTC, datetime

import pytest

from hub.cli.time_zone import ChosenZone, choose_time_zone, describe_zone_risk, names_time_zone
from mapping.document_header import to_day
from schemas.errors import ConfigurationError
from schemas.settings import Settings

UNSET, COPENHAGEN, UTC_CHOSEN = Settings(), Settings(time_zone="Europe/Copenhagen"), Settings(time_zone="Etc/UTC")


@pytest.mark.parametrize(
    ("settings", "is_given", "is_new", "told", "chosen"),
    [
        (UNSET, False, True, "Europe/Copenhagen", ChosenZone("Europe/Copenhagen", "stripe")),
        (UNSET, False, True, "Etc/UTC", ChosenZone("Etc/UTC", "stripe")),
        (COPENHAGEN, True, True, "America/New_York", ChosenZone("Europe/Copenhagen", "settings")),
        (COPENHAGEN, False, False, "America/New_York", ChosenZone("Europe/Copenhagen", "settings")),
        (UNSET, True, True, "Europe/Copenhagen", ChosenZone("UTC", "settings")),
        # Adding again must not move the dates of a connection that has drafts; it is told instead.
        (UNSET, False, False, "Europe/Copenhagen", ChosenZone("UTC", "default")),
        (UNSET, False, False, None, ChosenZone("UTC", "default")),
    ],
)
def test_what_is_set_comes_first_then_what_stripe_tells_of_a_new_connection(
    settings: Settings, is_given: bool, is_new: bool, told: str | None, chosen: ChosenZone
) -> None:
    assert choose_time_zone(settings, is_given=is_given, is_new=is_new, told=told) == chosen
    assert chosen.name in chosen.words


@pytest.mark.parametrize("told", [None, "", "Mars/Olympus"])
def test_a_time_zone_that_nobody_tells_is_asked_for(told: str | None) -> None:
    with pytest.raises(ConfigurationError, match="Give it with --time-zone") as caught:
        choose_time_zone(UNSET, is_given=False, is_new=True, told=told)
    assert caught.value.code == "settings.time_zone.unknown"


def test_an_old_connection_that_counts_in_utc_because_nobody_chose_is_doubtful() -> None:
    risk = describe_zone_risk(UNSET, "Europe/Copenhagen")

    assert "Nobody has chosen" in risk
    assert "time_zone: Europe/Copenhagen" in risk
    assert describe_zone_risk(UNSET, None)
    assert describe_zone_risk(COPENHAGEN, "America/New_York") == describe_zone_risk(UTC_CHOSEN, None) == ""


def test_a_new_years_eve_in_copenhagen_is_dated_by_copenhagen() -> None:
    told = choose_time_zone(UNSET, is_given=False, is_new=True, told="Europe/Copenhagen").name
    finalized = int(datetime(2026, 12, 31, 23, 30, tzinfo=UTC).timestamp())

    assert to_day(finalized, told).isoformat() == "2027-01-01"


def test_a_time_zone_that_is_left_empty_is_not_given() -> None:
    assert names_time_zone({}, {"time_zone": "UTC"})
    assert not names_time_zone({"time_zone": None}, {"metadata_prefix": "x_"})
