"""The command line: one Typer application, put together from the commands' modules."""

import typer

from hub.cli import (
    alerts,
    backfill,
    connections,
    contacts,
    dead,
    doctor,
    errors,
    events,
    preview,
    reconcile,
    replay,
    run,
    settings,
    simulate,
    topics,
    up,
    usage,
    waiting,
)
from hub.cli.demo import show as demo
from hub.cli.endings import HubGroup

app = typer.Typer(
    name="hub",
    cls=HubGroup,
    help="Exactly one Business Central draft for every Stripe invoice.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (run, up, demo, simulate, preview, replay, reconcile, backfill, waiting, doctor, errors):
    app.command(module.NAME, context_settings=getattr(module, "CONTEXT_SETTINGS", None))(module.command)
for group in (alerts, topics, connections, contacts, settings, events, dead, usage):
    app.add_typer(group.app, name=group.NAME)
