"""The ASGI application: Stripe's API under /v1, the simulator's own controls under /_sim."""

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from simulators.resets import cut_connection
from simulators.stripe.admin import AdminApi
from simulators.stripe.api import StripeApi
from simulators.stripe.state import World
from simulators.stripe.webhooks import Outbox
from simulators.stripe.wire import read_request, write_reply


class StripeSimulator:
    """One world behind one ASGI callable; `open` and `close` run in the serving loop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.api = StripeApi(world)
        self.outbox = Outbox(world)
        self.admin = AdminApi(world, self.outbox, self.api.faults)

    async def open(self) -> None:
        """Start delivering webhooks."""
        await self.outbox.open()

    async def close(self) -> None:
        """Stop background work."""
        await self.admin.close()
        await self.outbox.close()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        handler = self.admin if request.segments[0] == "_sim" else self.api
        reply = await handler.handle(request)
        if reply is None:
            await cut_connection(scope, receive)
        else:
            await write_reply(send, reply)
