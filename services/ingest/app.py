"""Wiring of ingest."""

from datetime import timedelta

from hub.alerts import AlertChannels
from hub.app import Foundation, Service
from hub.dead_topic import DeadTopic
from hub.refused_signatures import RefusedSignatures
from services.ingest.alerting import Alerting, Limits
from services.ingest.backfill import BackfillDuty
from services.ingest.catch_up import CatchUp
from services.ingest.head import Head, Turns
from services.ingest.history import History
from services.ingest.stranded import StrandedInvoices
from services.ingest.sweep import Sweep
from services.ingest.sweeper import Announcer
from services.ingest.waker import Waker
from services.ingest.webhooks import PREFIX, Webhooks


def build_app(foundation: Foundation) -> Service:
    """Build the service on what all services share."""
    head = Head(
        ledger=foundation.ledger,
        publisher=foundation.publisher,
        waiting=foundation.waiting,
        turns=Turns(foundation.redis),
        clock=foundation.clock,
    )
    webhooks = Webhooks(
        directory=foundation.directory,
        head=head,
        refused_signatures=RefusedSignatures(foundation.redis),
        clock=foundation.clock,
    )
    catch_up = CatchUp(
        directory=foundation.directory,
        ledger=foundation.ledger,
        clients=foundation.clients,
        head=head,
        gate=foundation.gate,
        redis=foundation.redis,
        clock=foundation.clock,
        interval=timedelta(seconds=foundation.config.catch_up_seconds),
    )
    waker = Waker(
        directory=foundation.directory,
        waiting=foundation.waiting,
        publisher=foundation.publisher,
        gate=foundation.gate,
        redis=foundation.redis,
        clock=foundation.clock,
    )
    sweep = Sweep(
        directory=foundation.directory,
        ledger=foundation.ledger,
        clients=foundation.clients,
        waiting=foundation.waiting,
        announcer=Announcer(foundation.ledger, History(foundation.waiting), foundation.clock),
        gate=foundation.gate,
        redis=foundation.redis,
        clock=foundation.clock,
        interval=timedelta(hours=foundation.config.sweep_hours),
    )
    backfill = BackfillDuty(
        directory=foundation.directory,
        ledger=foundation.ledger,
        clients=foundation.clients,
        waiting=foundation.waiting,
        gate=foundation.gate,
        redis=foundation.redis,
        clock=foundation.clock,
    )
    alerting = Alerting(
        directory=foundation.directory,
        waiting=foundation.waiting,
        channels=AlertChannels.from_config(foundation.config),
        limits=Limits(timedelta(hours=foundation.config.alert_silence_hours), foundation.config.alert_failures),
        dead=DeadTopic(foundation.config.kafka_bootstrap),
        stranded=StrandedInvoices(
            foundation.clients, foundation.ledger, foundation.waiting, foundation.redis, foundation.clock
        ),
        gate=foundation.gate,
        redis=foundation.redis,
        clock=foundation.clock,
    )
    loops = (catch_up.run, waker.run, sweep.run, backfill.run, alerting.run)
    return Service("ingest", foundation, loops=loops, direct={PREFIX: webhooks})
