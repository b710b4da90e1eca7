"""A service as a process: what all share is built once, FastStream runs the broker, uvicorn the HTTP side."""

import asyncio
import gc
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from aiokafka.errors import KafkaError
from faststream import FastStream
from faststream.kafka import KafkaBroker
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hub.broker import build_broker, check_topics
from hub.clients import Clients
from hub.clock import Clock, SystemClock
from hub.config import HubConfig
from hub.directory import Directory
from hub.ending import end_all
from hub.gate import Answers, ConnectionGate
from hub.http_limits import HttpLimits
from hub.learned import LearnedFacts
from hub.ledger import Ledger
from hub.log import configure_logging, get_logger
from hub.mapper import DocumentMapper
from hub.materials import MaterialsGatherer
from hub.port import ADMIN_PORT, open_port
from hub.redis import build_redis
from hub.secrets import SecretBox
from hub.serving import open_many_files, serve_http, stop_on_signals, tell_port
from hub.stage.defects import DefectRun
from hub.stage.ports import Handler
from hub.stage.processing import StageIdentity, Surroundings
from hub.stage.publisher import KafkaPublisher
from hub.stage.runtime import Stage, StagePolicy
from hub.stopped import StopSign
from hub.waiting import RedisWaitingSet
from schemas.errors import ConfigurationError, HubError
from schemas.messages import Message, StageName

M = TypeVar("M", bound=Message)
Loop = Callable[[], Awaitable[None]]

# A poll this old means that the consumer hangs; the longest legitimate gap is a rebalance.
_LONGEST_POLL_AGE = 60.0
# How long a start waits for Kafka, Redis and the topics to be there; then the process ends, and says why.
_START_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Foundation:
    """What every service stands on."""

    config: HubConfig
    clock: Clock
    redis: Any
    broker: KafkaBroker
    publisher: KafkaPublisher
    directory: Directory
    gate: ConnectionGate
    ledger: Ledger
    waiting: RedisWaitingSet
    clients: Clients
    mapper: DocumentMapper


@dataclass
class Service:
    """A service ready to run: a stage, loops beside it, HTTP of its own by path prefix."""

    name: StageName
    foundation: Foundation
    stage: Stage[Any] | None = None
    loops: Sequence[Loop] = ()
    defects: DefectRun | None = None
    direct: Mapping[str, ASGIApp] = field(default_factory=dict[str, ASGIApp])
    """What ingest serves on the public port."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    waits_for: str = ""
    """Why it has not started yet, or not gone on; for /readyz."""


def build_foundation(config: HubConfig, name: str, clock: Clock | None = None) -> Foundation:
    """Build what services share. Nothing is connected yet. The clock is the machine's unless one is given."""
    redis = build_redis(config.redis_url)
    clock = clock or SystemClock()
    broker = build_broker(config, name)
    directory = Directory(redis, SecretBox(config.secret_keys), clock)
    answers = Answers()
    waiting = RedisWaitingSet(redis)
    return Foundation(
        config=config,
        clock=clock,
        redis=redis,
        broker=broker,
        publisher=KafkaPublisher(broker),
        directory=directory,
        gate=ConnectionGate(directory, clock, answers, waiting),
        ledger=Ledger(redis, timedelta(seconds=config.lease_seconds), config.redis_replicas),
        waiting=waiting,
        clients=Clients(config, redis, directory, answers.note),
        mapper=DocumentMapper(MaterialsGatherer(), LearnedFacts(redis)),
    )


def build_stage_service(
    foundation: Foundation,
    name: StageName,
    handler: Handler[M],
    *,
    touches: frozenset[str],
    policy: StagePolicy | None = None,
) -> Service:
    """Build a service that is one stage."""
    surroundings = Surroundings(
        gate=foundation.gate,
        waiting=foundation.waiting,
        publisher=foundation.publisher,
        clock=foundation.clock,
        retry_waits=foundation.config.retry_waits,
        defects=DefectRun(name),
    )
    chosen = policy or StagePolicy(session_timeout=timedelta(seconds=foundation.config.kafka_session_seconds))
    stage: Stage[M] = Stage(StageIdentity(name, touches), handler, foundation.broker, surroundings, chosen)
    stage.attach()
    sign = StopSign(foundation.redis, name, lambda: surroundings.defects.is_tripped)
    return Service(name, foundation, stage=stage, loops=[sign.run], defects=surroundings.defects)


def build_admin(service: Service) -> ASGIApp:
    """Build what is for the operator alone: /healthz, /readyz and /metrics."""

    async def healthz(_request: Request) -> Response:
        problem = _find_hang(service)
        return JSONResponse({"ok": problem is None, "problem": problem}, status_code=200 if problem is None else 503)

    async def readyz(_request: Request) -> Response:
        missing = await _find_missing(service)
        held = service.defects.held if service.defects else []
        told = {"ready": not missing, "missing": missing, "why": service.waits_for, "held": held}
        return JSONResponse(told, status_code=503 if missing else 200)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


def build_public(service: Service) -> ASGIApp:
    """Build what the public port serves: the service's own paths, and 503 unless the service has started."""
    direct = tuple(service.direct.items())
    unknown = PlainTextResponse("There is nothing here.\n", status_code=404)
    not_now = PlainTextResponse("The hub is starting or stopping; please send it again.\n", status_code=503)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        for prefix, app in direct:
            if scope["path"].startswith(prefix):
                return await (app if service.ready.is_set() else not_now)(scope, receive, send)
        return await unknown(scope, receive, send)

    return serve


async def run_service(service: Service) -> None:
    """Run until SIGTERM or SIGINT, then drain. The admin port answers from the first moment to the last.

    Raises:
        ConfigurationError: a port is taken; or Kafka, Redis or the topics are not there.
    """
    config = service.foundation.config
    configure_logging(service.name, fmt=config.log_format, level=config.log_level)
    open_many_files()
    _tune_collection()
    with stop_on_signals() as stop:
        async with AsyncExitStack() as ports:
            admin = open_port(config.admin_host, config.get_admin_port(service.name), names=ADMIN_PORT)
            ports.enter_context(admin)
            is_public = service.name == "ingest"
            public = ports.enter_context(open_port(config.http_host, config.http_port)) if is_public else None
            await ports.enter_async_context(serve_http(build_admin(service), admin, HttpLimits(), patience=1))
            tell_port("admin", admin)
            await _run_until(stop, service, public)
    await service.foundation.clients.close()
    await service.foundation.redis.aclose(close_connection_pool=True)


async def _run_until(stop: asyncio.Event, service: Service, public: socket.socket | None) -> None:
    async with AsyncExitStack() as life, AsyncExitStack() as door:
        if public is not None:
            # Left before the rest of life: what is being answered is finished while everything still works.
            await door.enter_async_context(serve_http(build_public(service), public, HttpLimits()))
            tell_port("public", public)
        await _finish_unless(stop, _begin(service, life))
        await stop.wait()
        service.ready.clear()
        service.waits_for = "The service is stopping."


def _tune_collection() -> None:
    """What has been loaded stays for good: looking through it at each collection cost a fifth of a webhook's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _begin(service: Service, life: AsyncExitStack) -> None:
    await _wait_for_dependencies(service)
    await life.enter_async_context(_live(service))


async def _finish_unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, or leave it at once when the service is to stop."""
    doing, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((doing, stopping), return_when=asyncio.FIRST_COMPLETED)
    is_done = doing.done()
    await end_all([doing, stopping])
    if is_done:
        await doing


@asynccontextmanager
async def _live(service: Service) -> AsyncGenerator[None]:
    """The life of a service: consumers start, loops run; at the end loops stop, then the stage drains."""
    stage = service.stage
    application = FastStream(
        service.foundation.broker,
        logger=None,
        after_startup=[stage.start] if stage else [],
        on_shutdown=[stage.drain] if stage else [],
    )
    try:
        await application.start()
    except BaseException as error:
        await service.foundation.broker.stop()
        if isinstance(error, KafkaError):
            raise ConfigurationError(
                "Kafka does not answer. Check HUB_KAFKA_BOOTSTRAP.", code="broker.unreachable"
            ) from error
        raise
    loops = [asyncio.create_task(_keep_going(service, loop)) for loop in service.loops]
    service.ready.set()
    get_logger().info("service.started")
    try:
        yield
    finally:
        service.ready.clear()
        await end_all(loops)
        await application.stop()
        get_logger().info("service.stopped")


async def _keep_going(service: Service, loop: Loop) -> None:
    """Run a loop for ever: what it meets is logged, and it begins again."""
    while True:
        try:
            await loop()
        except HubError as error:
            get_logger().warning("service.loop.retried", loop=loop.__qualname__, code=error.code, why=error.message)
        except Exception as error:  # noqa: BLE001 - a defect in one round must not end catch-up or waking for good
            get_logger().error("service.loop.failed", service=service.name, loop=loop.__qualname__, exc_info=error)
        await asyncio.sleep(1.0)


def _find_hang(service: Service) -> str | None:
    stage = service.stage
    if stage is None:
        return None
    if stage.failure is not None:
        return f"the stage runtime failed: {type(stage.failure).__name__}"
    if stage.seconds_since_poll > _LONGEST_POLL_AGE:
        return f"the last poll was {stage.seconds_since_poll:.0f} s ago"
    return None


async def _find_missing(service: Service) -> list[str]:
    missing: list[str] = []
    if not service.ready.is_set():
        missing.append("started")
    broker, ledger = await asyncio.gather(_has_broker(service.foundation), _has_ledger(service.foundation))
    missing += [name for name, is_there in (("broker", broker), ("ledger", ledger)) if not is_there]
    if service.stage is not None and not service.stage.is_assigned:
        missing.append("consumer group")
    if service.defects is not None and service.defects.is_tripped:
        missing.append("messages that go through: the stage holds all, for the hub itself fails with each")
    return missing


async def _has_broker(foundation: Foundation) -> bool:
    return await foundation.broker.ping(timeout=2.0)


async def _has_ledger(foundation: Foundation) -> bool:
    try:
        async with asyncio.timeout(2.0):
            await foundation.redis.ping()
    except Exception:  # noqa: BLE001 - whatever it is, the ledger does not answer
        return False
    return True


async def _wait_for_dependencies(service: Service) -> None:
    """Wait for broker, topics and ledger, so that services may be started in any order."""
    foundation = service.foundation
    deadline = foundation.clock.monotonic() + _START_PATIENCE.total_seconds()
    while True:
        problem = await _find_missing_dependency(foundation)
        service.waits_for = problem.message if problem else ""
        if problem is None:
            return
        if foundation.clock.monotonic() > deadline:
            raise problem
        get_logger().warning("service.start.waiting", why=problem.message)
        await asyncio.sleep(1.0)


async def _find_missing_dependency(foundation: Foundation) -> ConfigurationError | None:
    try:
        async with asyncio.timeout(10):
            missing = [
                one.topic
                for one in await check_topics(foundation.config.kafka_bootstrap)
                if one.problem == "is missing"
            ]
            if missing:
                return ConfigurationError(
                    f"Topics are missing: {', '.join(missing)}. Run hub topics apply.", code="topics.missing"
                )
            await foundation.ledger.load_incarnation()
    except ConfigurationError as error:
        return error
    except HubError as error:
        return ConfigurationError(f"{error.message} Check HUB_REDIS_URL.", code=error.code)
    except TimeoutError:
        return ConfigurationError("Kafka does not answer in time. Check HUB_KAFKA_BOOTSTRAP.", code="broker.slow")
    return None
