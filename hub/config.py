"""What a process needs from its environment: every `HUB_…` name, once, with its meaning.

Required values have no default: missing means that the process does not start, and the message names them. Unknown
`HUB_…` names are refused with the nearest known one, for a typing error must not silently mean the default.
"""

import difflib
import os
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from schemas.errors import ConfigurationError
from schemas.messages import StageName

# What Kubernetes injects for a Service named hub-…: HUB_INGEST_PORT=tcp://10.0.0.1:80, HUB_INGEST_SERVICE_HOST, …
_KUBERNETES_NAME = re.compile(r"^HUB_\w+_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)$")
_BROKER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?", re.ASCII)
_MIN_KEY_LENGTH = 16
# Beyond these a time means nothing, and adding it to another fails.
_LONGEST_SECONDS = 30 * 86_400
_LONGEST_HOURS = 10_000
# All services may run on one machine.
_ADMIN_PORTS: Mapping[StageName, int] = {"ingest": 8081, "contacts": 8082, "invoices": 8083, "metadata_writer": 8084}


class HubConfig(BaseSettings):
    """The environment of every process of the hub. `deploy/config.example.env` lists the same keys."""

    model_config = SettingsConfigDict(
        env_prefix="HUB_", frozen=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False
    )

    kafka_bootstrap: str = Field(min_length=1, description="Kafka brokers, host:port, comma-separated.")
    redis_url: str = Field(
        pattern=r"^(rediss?|unix)://",
        description="Redis that holds the ledger: AOF on, noeviction. redis://host:port/0",
    )
    redis_replicas: int = Field(
        default=0,
        ge=0,
        description="How many replicas of Redis must confirm (WAIT) that a draft or customer is about to be requested, "
        "before it is: then a failover does not forget it and make another. 0: Redis has none.",
    )
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        min_length=1,
        description="Keys that encrypt secrets at rest, comma-separated, 16 characters or more each. "
        "The first one encrypts, all of them decrypt: put a new one in front to rotate.",
    )
    stripe_api_base: str = Field(default="https://api.stripe.com", description="Scheme and host of Stripe's API.")
    bc_api_base: str = Field(
        default="https://api.businesscentral.dynamics.com/v2.0",
        description="Scheme, host and the first /v2.0; the hub adds /{tenant}/{environment}/api/v2.0.",
    )
    entra_authority: str = Field(
        default="https://login.microsoftonline.com",
        description="Scheme and host of the sign-in; the hub adds /{tenant}.",
    )
    ca_bundle: Path | None = Field(default=None, description="PEM file with an extra CA for a self-signed authority.")
    http_port: int = Field(default=8080, ge=0, le=65535, description="Public port of ingest: webhooks; 0 picks one.")
    http_host: str = Field(default="0.0.0.0", description="Address that the public port binds to.")  # noqa: S104 - it is public on purpose
    admin_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz and /metrics, for each service; 0 picks one. By default 8081 for "
        "ingest, 8082 contacts, 8083 invoices, 8084 metadata_writer. Not for the public.",
    )
    admin_host: str = Field(
        default="127.0.0.1",
        description="Address that the admin port binds to. The image sets 0.0.0.0, for probes come from outside the "
        "container.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="json for machines, console for people, auto: console on a terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    data_dir: Path = Field(
        default=Path(".hub"),
        description="What the embedded parts keep; other hub commands find a running hub up by it.",
    )
    kafka_session_seconds: float = Field(
        default=10,
        ge=1,
        le=_LONGEST_SECONDS,
        description="Seconds without a heartbeat after which a consumer counts as dead. The embedded broker also lets "
        "a group stand still for half of it at each start.",
    )
    retry_waits: Annotated[tuple[timedelta, ...], NoDecode] = Field(
        # Five seconds for what passes at once, then a minute, ten, and an hour each, until a day is over.
        default=tuple(timedelta(seconds=s) for s in (5, 60, 600, *[3600] * 24)),
        min_length=1,
        description="Seconds between rounds of a message that has to wait, comma-separated, by default for a day. "
        "After the last: failed. A blocked connection uses up none.",
    )
    catch_up_seconds: float = Field(
        default=30, gt=0, le=_LONGEST_SECONDS, description="Seconds between two looks at Stripe's Events API."
    )
    sweep_hours: float = Field(
        default=24,
        ge=0,
        le=_LONGEST_HOURS,
        description="Hours between two sweeps, which compare Stripe's invoices with the ledger and Business Central; "
        "0: none.",
    )
    bc_requests: int = Field(
        default=5900,
        ge=300,
        description="Requests to Business Central in 5 minutes, per app. Its own limit online is 6,000; on "
        "premises the "
        "server's configuration decides.",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="Where alerts are posted, as Slack takes them: an incoming webhook's address."
    )
    alert_smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server of alerts, smtp://user:password@host:587 or smtps://. "
        "A password is only sent encrypted.",
    )
    alert_email_to: str = Field(
        default="", description="Who gets alerts by e-mail, comma-separated; the first is the sender, too."
    )
    alert_silence_hours: float = Field(
        default=4,
        gt=0,
        le=_LONGEST_HOURS,
        description="Hours without any success, while invoices are due, after which it is an alert.",
    )
    alert_failures: int = Field(
        default=10,
        ge=1,
        description="Failed invoices within an hour that are an alert; three are if they outnumber what is synced.",
    )
    lease_seconds: float = Field(
        default=120,
        gt=0,
        le=_LONGEST_SECONDS,
        description="Life of an invoice's lease; longer than the deadline of any request (60 s).",
    )

    def get_admin_port(self, service: StageName) -> int:
        """Return the admin port of a service: the one that is set, or its own."""
        return _ADMIN_PORTS[service] if self.admin_port is None else self.admin_port

    @field_validator("secret_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("secret_keys")
    @classmethod
    def _check_key_length(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < _MIN_KEY_LENGTH for key in keys):
            raise ValueError(f"each key needs at least {_MIN_KEY_LENGTH} characters")
        return keys

    @field_validator("retry_waits", mode="before")
    @classmethod
    def _split_waits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in parts):
            raise ValueError("each part must be a number of seconds")
        if any(float(part) > _LONGEST_SECONDS for part in parts):
            raise ValueError("each part must be at most 30 days")
        return tuple(timedelta(seconds=float(part)) for part in parts)

    @field_validator("kafka_bootstrap")
    @classmethod
    def _check_brokers(cls, value: str) -> str:
        if not all(_BROKER.fullmatch(part.strip()) for part in value.split(",")):
            raise ValueError("must be host:port, several separated by commas")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str) -> str:
        try:
            pool = ConnectionPool.from_url(value)
            pool.connection_class(**pool.connection_kwargs)
        except (ValueError, TypeError, RedisError):
            raise ValueError("is no address of Redis; write it like redis://host:6379/0") from None
        return value

    @field_validator("ca_bundle")
    @classmethod
    def _check_ca_bundle(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if not value.is_file():
            raise ValueError("there is no such file")
        try:
            ssl.create_default_context(cafile=str(value))
        except OSError:
            raise ValueError("the file can't be read as certificates in PEM form") from None
        return value

    @field_validator("stripe_api_base", "bc_api_base", "entra_authority")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http:// for a simulator)")
        try:
            has_host = bool(httpx.URL(value).host)
        except httpx.InvalidURL:
            has_host = False
        if not has_host:
            raise ValueError("is no address; write it like https://host")
        return value.rstrip("/")


def load_config(environ: Mapping[str, str] | None = None, **overrides: Any) -> HubConfig:
    """Read and check the environment.

    Raises:
        ConfigurationError: a name is missing, unknown or has a wrong value; the message lists all of them and no value.
    """
    names = os.environ if environ is None else environ
    problems = find_unknown_names(names)
    values: dict[str, Any] = {
        key.removeprefix("HUB_").lower(): value for key, value in names.items() if key in known_names()
    }
    try:
        config = HubConfig(**{**values, **overrides})
    except ValidationError as exc:
        problems += [_describe(error) for error in exc.errors()]
        raise _refuse(problems) from None
    if problems:
        raise _refuse(problems)
    return config


def known_names() -> dict[str, str]:
    """Return every HUB_ name with its meaning."""
    return {f"HUB_{name.upper()}": field.description or "" for name, field in HubConfig.model_fields.items()}


def find_unknown_names(environ: Mapping[str, str]) -> list[str]:
    """Say for each stray HUB_ name what was probably meant."""
    known = known_names()
    return [_suggest(name, known) for name in sorted(environ) if _is_stray(name, environ[name], known)]


def _is_stray(name: str, value: str, known: Mapping[str, str]) -> bool:
    if not name.startswith("HUB_") or name in known or name.startswith("HUB_TEST_"):
        return False
    injected = name.endswith("_PORT") and value.startswith(("tcp://", "udp://"))
    return not injected and not _KUBERNETES_NAME.match(name)


def _suggest(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"{name} is not a setting of the hub; did you mean {near[0]}?"


def _describe(error: Any) -> str:
    name = f"HUB_{str(error['loc'][0]).upper()}"
    if error["type"] == "missing":
        return f"{name} is missing: {known_names().get(name, '')}"
    return f"{name}: {error['msg']}"


def _refuse(problems: list[str]) -> ConfigurationError:
    return ConfigurationError("\n".join(problems), code="configuration.invalid")
