"""`hub doctor`: every dependency looked at, one sentence each, and how to fix what is wrong."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import httpx
import typer
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from hub.app import Foundation
from hub.broker import check_topics, open_admin
from hub.cli.checks import Check, check_connection, count_problems, judge_untold, show_checks, try_check
from hub.cli.context import Exit, find_environment, open_foundation, tell_redis
from hub.cli.context import run_command as run_work
from hub.cli.screen import err
from hub.cli.topic_reader import open_reader, quiet_kafka
from hub.cli.wording import name_command
from hub.config import HubConfig, find_unknown_names, load_config
from hub.redis import run
from hub.stopped import list_stopped, tell_stopped
from schemas.errors import ConfigurationError, HubError, Refused
from schemas.topics import CONSUMED_BY, DEAD, get_group

NAME = "doctor"
# Stripe refuses nothing for it, but a webhook counts as too old or from the future beyond five minutes.
_WORST_CLOCK = timedelta(seconds=60)
# Redis 6.2 is the oldest that the tests run on.
_OLDEST_REDIS = (6, 2)
_PATIENCE = 10
_WORST_LAG = 1_000


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for scripts.")] = False,
) -> None:
    """Check everything the hub depends on, and say how to fix what is wrong. Writes nothing."""

    async def work() -> list[Check]:
        with err.status("Looking…"):
            return await examine()

    checks = run_work(work())
    show_checks(checks, as_json=as_json)
    if count_problems(checks):
        raise typer.Exit(int(Exit.PROBLEM))


async def examine() -> list[Check]:
    """Look at everything; what can't be looked at for want of something else is left out."""
    environment = find_environment()
    try:
        config = load_config(environment)
    except ConfigurationError as error:
        unknown = find_unknown_names(environment)
        fix = "Correct the names." if unknown else "Set them, or start hub up here. See deploy/config.example.env."
        return [Check("Configuration", "problem", error.message, fix)]
    checks = [Check("Configuration", "ok", "complete, no unknown HUB_ names")]
    checks += await _examine_kafka(config)
    async with open_foundation(config) as foundation:
        redis = await examine_redis(foundation.redis)
        checks += redis
        checks.append(await try_check("Clock", lambda: _look_at_clock(config)))
        if not count_problems(redis[:1]):
            checks += [
                Check(f"Stage {stage}", "problem", tell_stopped(stage), "hub dead list")
                for stage in await list_stopped(foundation.redis)
            ]
            checks += await _examine_connections(foundation)
    return checks


async def _examine_kafka(config: HubConfig) -> list[Check]:
    quiet_kafka()
    looks = _KafkaLooks(config)
    reachable = await try_check("Kafka", looks.reachable, "Check HUB_KAFKA_BOOTSTRAP and that the broker runs.")
    if reachable.verdict == "problem":
        return [reachable]
    topics = await try_check("Topics", looks.topics)
    if topics.verdict == "problem":
        return [reachable, topics]
    groups = [await try_check(f"Group {get_group(stage)}", looks.build_group_look(stage)) for stage in CONSUMED_BY]
    return [reachable, topics, *groups, await try_check("Dead messages", looks.dead)]


@dataclass(frozen=True)
class _KafkaLooks:
    config: HubConfig

    async def reachable(self) -> str:
        async with open_admin(self.config.kafka_bootstrap) as admin:
            await _ask(admin.list_topics)
        return "reachable"

    async def topics(self) -> str:
        problems = await check_topics(self.config.kafka_bootstrap)
        if problems:
            raise Refused(
                "; ".join(f"{one.topic} {one.problem}" for one in problems),
                code="topics.different",
                fix="; ".join(dict.fromkeys(one.fix for one in problems)),
            )
        return "all are as the registry says"

    def build_group_look(self, stage: Any) -> Any:
        async def look() -> Check:
            return await self._look_at_group(get_group(stage), CONSUMED_BY[stage].name)

        return look

    async def _look_at_group(self, group: str, topic: str) -> Check:
        async with open_admin(self.config.kafka_bootstrap) as admin, open_reader(self.config, [topic]) as reader:
            begins, ends = await reader.fetch_begins(), await reader.fetch_ends()
            # Asked by partition: not every broker answers for all at once in a way that the client reads.
            committed = await _ask(lambda: admin.list_consumer_group_offsets(group, partitions=list(ends)))
            members = await _count_members(admin, group)
        lag = sum(max(end - max(_get_offset(committed, tp), begins[tp]), 0) for tp, end in ends.items())
        name = f"Group {group}"
        if members == 0:
            return Check(
                name, "problem", f"nobody consumes; {lag} messages wait", "Start the service: hub run, hub up."
            )
        told = f"consumers: {'unknown' if members is None else members}, messages behind: {lag}"
        if lag > _WORST_LAG:
            return Check(name, "warning", told, "Start more replicas; Business Central's limits are the ceiling.")
        return Check(name, "ok", told)

    async def dead(self) -> Check:
        async with open_reader(self.config, [DEAD.name]) as reader:
            count = await reader.count_stored()
        if count:
            return Check("Dead messages", "warning", f"{count} within 30 days", "hub dead list")
        return Check("Dead messages", "ok", "none")


async def examine_redis(redis: Any) -> list[Check]:
    """Look at Redis: does it answer, does it keep what it is given, is it new enough."""
    try:
        info: dict[str, Any] = await run(redis.info())
    except HubError as error:
        words = f"{error.message.rstrip('.')} at {tell_redis()}."
        return [Check("Redis", "problem", words, "Check HUB_REDIS_URL and that Redis runs.")]
    version = str(info.get("redis_version", "0.0"))
    parts = tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:2])
    checks = [Check("Redis", "ok", f"answers, version {version}")]
    if parts < _OLDEST_REDIS:
        checks = [Check("Redis", "problem", f"version {version} is too old", "Use Redis 6.2 or newer.")]
    checks.append(_judge_writes(info))
    checks.append(_judge_aof(info))
    checks.append(_judge_eviction(info))
    return checks


def _judge_writes(info: dict[str, Any]) -> Check:
    """Whether it takes what it is given: a full disk, a full memory or a replica refuse it."""
    used, most = int(info.get("used_memory") or 0), int(info.get("maxmemory") or 0)
    if info.get("role") == "slave":
        return Check("Redis writes", "problem", "it is a replica", "Set HUB_REDIS_URL to the primary.")
    if info.get("aof_last_write_status", "ok") != "ok":
        return Check("Redis writes", "problem", "its last write to disk failed", "Give its disk room.")
    if most and used >= most:
        return Check("Redis writes", "problem", "its memory is full", "Raise maxmemory.")
    return Check("Redis writes", "ok", "takes what it is given")


def _judge_aof(info: dict[str, Any]) -> Check:
    if info.get("aof_enabled") in {1, "1"}:
        return Check("Redis persistence", "ok", "append-only file is on")
    words = "the append-only file is off: a restart forgets what was sent to Business Central"
    return Check("Redis persistence", "problem", words, "Set appendonly yes, appendfsync everysec.")


def _judge_eviction(info: dict[str, Any]) -> Check:
    policy = info.get("maxmemory_policy")
    if policy is None:
        return Check("Redis eviction", "skipped", "Redis does not tell its maxmemory-policy")
    if policy == "noeviction":
        return Check("Redis eviction", "ok", "noeviction")
    words = f"maxmemory-policy is {policy}: Redis may throw the ledger away"
    return Check("Redis eviction", "problem", words, "Set maxmemory-policy noeviction.")


async def _look_at_clock(config: HubConfig) -> Check:
    """Compare with the Date that Stripe's servers put on any answer, also one without a key."""
    try:
        async with httpx.AsyncClient(timeout=5, verify=_trust(config)) as http:
            begin = datetime.now(UTC)
            answer = await http.get(f"{config.stripe_api_base}/v1/account")
            end = datetime.now(UTC)
    except (httpx.HTTPError, OSError) as error:
        return Check("Clock", "skipped", f"Stripe did not answer ({type(error).__name__})")
    if (told := answer.headers.get("date")) is None:
        return Check("Clock", "skipped", "Stripe's answer has no Date to compare with")
    try:
        return judge_clock(parsedate_to_datetime(told) - (begin + (end - begin) / 2))
    except (ValueError, TypeError):  # no date; or one without a zone
        return Check("Clock", "skipped", "the Date of Stripe's answer can't be read")


def judge_clock(difference: timedelta) -> Check:
    """Say whether this machine's clock will do."""
    seconds = difference.total_seconds()
    if abs(difference) <= _WORST_CLOCK:
        return Check("Clock", "ok", f"within {abs(seconds) + 1:.0f} s of Stripe's")
    side = "behind" if seconds > 0 else "ahead"
    words = f"{abs(seconds):.0f} s {side} of Stripe's: webhooks will be refused"
    return Check("Clock", "problem", words, "Synchronise this machine's clock (NTP).")


def _trust(config: HubConfig) -> Any:
    return str(config.ca_bundle) if config.ca_bundle and not config.stripe_api_base.startswith("http:") else True


async def _examine_connections(foundation: Foundation) -> list[Check]:
    ids = await foundation.directory.list_ids()
    if not ids:
        return [Check("Connections", "warning", "there is none yet", "hub connections add --help")]
    checks: list[Check] = []
    for connection in ids:
        checks += await _examine_connection(foundation, connection)
    return checks


async def _examine_connection(foundation: Foundation, connection: str) -> list[Check]:
    try:
        snapshot = await foundation.directory.load(connection)
    except HubError as error:
        fix = "Put the old key back into HUB_SECRET_KEYS, or add the connection again."
        return [Check("Secrets", "problem", error.message, fix, connection)]
    found = [Check("Secrets", "ok", "can be read"), *await check_connection(foundation, snapshot)]
    found += await _examine_ledger(foundation, connection)
    return [replace(one, subject=connection) for one in found]


async def _examine_ledger(foundation: Foundation, connection: str) -> list[Check]:
    try:
        return await _count_ledger(foundation, connection)
    except HubError as error:
        return [
            Check("Ledger", "problem", error.message, getattr(error, "fix", "") or "hub doctor, once Redis is well")
        ]


async def _count_ledger(foundation: Foundation, connection: str) -> list[Check]:
    waiting = await foundation.waiting.count(connection)
    failed = len(await foundation.ledger.list_failed(connection))
    found = [Check("Waiting", "ok", f"{waiting} invoices wait")]
    found.append(judge_untold(await foundation.ledger.load_untold(connection), connection))
    if failed:
        found.append(
            Check(
                "Failed", "warning", f"{failed} invoices failed", name_command("replay --failed --dry-run", connection)
            )
        )
    return found


async def _count_members(admin: Any, group: str) -> int | None:
    """Count the consumers of a group; None where the broker does not tell."""
    try:
        answers = await _ask(lambda: admin.describe_consumer_groups([group]))
        return sum(len(one[5]) for answer in answers for one in answer.groups)
    except HubError:
        return None


def _get_offset(committed: dict[Any, Any], tp: Any) -> int:
    return committed[tp].offset if tp in committed else 0


async def _ask(request: Callable[[], Awaitable[Any]]) -> Any:
    """Ask the admin client, with its errors translated."""
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                # A cluster on which nobody has consumed yet makes its offsets topic now.
                with suppress(GroupCoordinatorNotAvailableError):
                    return await request()
                await asyncio.sleep(0.2)
    except (KafkaError, OSError, TimeoutError) as error:
        raise ConfigurationError(
            f"Kafka did not answer as expected ({type(error).__name__}). Look at the broker's log, and try again.",
            code="broker.unreachable",
        ) from error
