"""`hub alerts`: whether alerts arrive."""

import typer

from hub.alerts import AlertChannels, AlertNotSent
from hub.cli.context import Exit, fail, load_cli_config, run_command
from hub.cli.wording import say

NAME = "alerts"
app = typer.Typer(help="Alerts by webhook and e-mail.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Alerts by webhook and e-mail."""


@app.command()
def test() -> None:
    """Send a trial message to every channel that the environment names."""
    channels = AlertChannels.from_config(load_cli_config())
    if not channels.names:
        fail("No channel is set. Set HUB_ALERT_WEBHOOK_URL, or HUB_ALERT_SMTP_URL with HUB_ALERT_EMAIL_TO.", Exit.USAGE)
    try:
        run_command(channels.send("This is a trial of the hub's alerts. Nothing is wrong."))
    except AlertNotSent as error:
        fail(f"{error} Check its HUB_ALERT_… settings; every other channel has it.", Exit.PROBLEM)
    say(f"Sent by {' and '.join(channels.names)}.")
