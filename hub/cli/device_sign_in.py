"""Signing in to Business Central by device code, from a terminal."""

from datetime import timedelta

from rich.text import Text

from connectors.business_central.sign_in import begin_device_code, complete_device_code
from hub.cli.screen import err
from hub.clients import Clients
from hub.directory import Directory
from schemas.connections import Connection


async def sign_in_by_code(clients: Clients, connection: Connection, directory: Directory) -> None:
    """Show the code on stderr, for stdout may be a script's, and wait until it was typed.

    Raises:
        Blocked: the user declined, or did not come in time.
    """
    app_registration = clients.build_entra_app(connection, None)
    code = await begin_device_code(app_registration)
    words = Text.assemble("Open ", (code.verification_uri, "bold"), " and enter the code ", (code.user_code, "bold"))
    err.print(words, soft_wrap=True)
    with err.status("Waiting for the sign-in…") as status:

        async def progress(left: timedelta) -> None:
            status.update(f"Waiting for the sign-in… {left.total_seconds() / 60:.0f} min left")

        store = directory.build_token_store(connection.id)
        await complete_device_code(app_registration, code, store, progress=progress)
