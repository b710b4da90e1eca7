"""The environment: what is missing, what is unknown, what is somebody else's; and the example lists all of it."""

from datetime import timedelta
from pathlib import Path

import pytest

from hub.config import HubConfig, find_unknown_names, known_names, load_config
from schemas.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.env"
COMPLETE = {
    "HUB_KAFKA_BOOTSTRAP": "kafka:9092",
    "HUB_REDIS_URL": "redis://redis:6379/0",
    "HUB_SECRET_KEYS": "a-very-secret-key-of-ours",
}


def refuse(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_config(environ)
    return caught.value.message


def test_the_least_that_is_needed_is_enough() -> None:
    config = load_config(COMPLETE)

    assert config.kafka_bootstrap == "kafka:9092"
    assert config.stripe_api_base == "https://api.stripe.com"


def test_everything_that_is_missing_is_named_at_once_with_its_meaning() -> None:
    message = refuse({})

    for name in COMPLETE:
        assert f"{name} is missing: {known_names()[name]}" in message


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    message = refuse({**COMPLETE, "HUB_KAFKA_BOOTSTRP": "x", "HUB_LOG_LEVLE": "debug"})

    assert "HUB_KAFKA_BOOTSTRP is not a setting of the hub; did you mean HUB_KAFKA_BOOTSTRAP?" in message
    assert "did you mean HUB_LOG_LEVEL?" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_INGEST_PORT", "tcp://10.0.0.1:80"),
        ("HUB_HTTP_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("HUB_INGEST_SERVICE_HOST", "10.0.0.1"),
        ("HUB_INGEST_SERVICE_PORT", "80"),
        ("HUB_INGEST_SERVICE_PORT_HTTP", "80"),
        ("HUB_INGEST_PORT_80_TCP_PROTO", "tcp"),
        ("HUB_INGEST_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("HUB_TEST_BROKER", "embedded"),
        ("HUBCAP", "x"),
        ("PATH", "/bin"),
    ],
)
def test_what_kubernetes_and_tests_set_is_not_ours_to_refuse(name: str, value: str) -> None:
    assert load_config({**COMPLETE, name: value}).http_port == 8080
    assert find_unknown_names({name: value}) == []


def test_a_port_that_is_no_address_is_a_typing_error() -> None:
    assert find_unknown_names({"HUB_INGEST_PORT": "8080"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_REDIS_URL", "sk_live_secret"),
        ("HUB_SECRET_KEYS", "too-short-secret,"[:9]),
        ("HUB_SECRET_KEYS", ""),
        ("HUB_HTTP_PORT", "sk_live_secret"),
        ("HUB_STRIPE_API_BASE", "sk_live_secret"),
        ("HUB_LOG_LEVEL", "sk_live_secret"),
        ("HUB_LEASE_SECONDS", "-1"),
    ],
)
def test_a_wrong_value_is_named_and_never_shown(name: str, value: str) -> None:
    message = refuse({**COMPLETE, name: value})

    assert name in message
    assert "secret" not in message.replace("HUB_SECRET_KEYS", "")


def test_keys_are_split_and_hidden() -> None:
    config = load_config({**COMPLETE, "HUB_SECRET_KEYS": "the-new-key-is-long, the-old-key-is-long"})

    assert [key.get_secret_value() for key in config.secret_keys] == ["the-new-key-is-long", "the-old-key-is-long"]
    assert "the-new-key" not in repr(config)
    assert "the-new-key" not in config.model_dump_json()


def test_waits_are_seconds() -> None:
    config = load_config({**COMPLETE, "HUB_RETRY_WAITS": "1, 2.5"})

    assert config.retry_waits == (timedelta(seconds=1), timedelta(seconds=2.5))


def test_an_address_loses_its_last_slash() -> None:
    config = load_config({**COMPLETE, "HUB_STRIPE_API_BASE": "http://localhost:1/"})

    assert config.stripe_api_base == "http://localhost:1"


def read_example() -> dict[str, str | None]:
    """Every name of the example, with its default; None where it is required."""
    found: dict[str, str | None] = {}
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.removeprefix("#").partition("=")
        if equals and name.startswith("HUB_"):
            found[name] = value if line.startswith("#") else None
    return found


def test_the_example_lists_every_name_with_its_meaning() -> None:
    text = " ".join(line.removeprefix("# ") for line in EXAMPLE.read_text(encoding="utf-8").splitlines())

    assert list(read_example()) == list(known_names())
    for name, meaning in known_names().items():
        assert f"{meaning} {name}=" in text.replace(f"#{name}", name)


def test_the_example_shows_the_defaults() -> None:
    example = read_example()
    required = {f"HUB_{name.upper()}" for name, one in HubConfig.model_fields.items() if one.is_required()}

    shown = {name: value for name, value in example.items() if value}

    assert {name for name, value in example.items() if value is None} == required
    assert load_config({**COMPLETE, **shown}) == load_config(COMPLETE)
