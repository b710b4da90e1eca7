"""What the sign-in service and an alert's webhook answer is read to a limit, or not at all."""

import asyncio

import pytest
import requests

from connectors.business_central.entra import _Session, classify_sign_in_failure
from hub.alerts import AlertChannels, AlertNotSent
from schemas.errors import RetryLater
from tests.raw_server import Behaviour, build_answer, run_server, send, send_and_close


def drip(head: bytes, megabytes: int) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        try:
            for _ in range(megabytes):
                writer.write(b"100000\r\n" + b" " * 2**20 + b"\r\n")
                await writer.drain()
        except ConnectionError:
            return
        writer.close()

    return behave


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def ask(url: str) -> requests.Response:
    def get() -> requests.Response:
        with _Session(None) as session:
            return session.get(url)

    return await asyncio.to_thread(get)


async def test_a_token_is_read_as_ever() -> None:
    async with run_server(send_and_close(build_answer(b'{"access_token": "x"}'))) as server:
        answer = await ask(server.url)
    assert (answer.status_code, answer.json(), answer.text) == (200, {"access_token": "x"}, '{"access_token": "x"}')


@pytest.mark.parametrize(
    "behaviour",
    [drip(CHUNKED, 500), send_and_close(build_answer(b" " * 2 * 2**20))],
    ids=["without end", "too long"],
)
async def test_a_sign_in_answer_of_any_length_is_the_service_not_answering(behaviour: Behaviour) -> None:
    async with run_server(behaviour) as server:
        with pytest.raises(requests.ConnectionError) as caught:
            await ask(server.url)
    error = classify_sign_in_failure(caught.value)
    assert (type(error), error.code) == (RetryLater, "bc.sign_in.unreachable")


async def test_an_alert_is_sent_whatever_its_webhook_says() -> None:
    async with run_server(drip(CHUNKED, 500)) as server:
        async with asyncio.timeout(5):
            await AlertChannels(server.url, None, ()).send("It is blocked.")
    assert server.methods == ["POST"]


async def test_an_alert_that_is_refused_at_length_is_not_sent() -> None:
    async with run_server(send(build_answer(b"x" * 2**20, status="500 Error"))) as server:
        with pytest.raises(AlertNotSent, match="HTTP 500"):
            await AlertChannels(server.url, None, ()).send("It is blocked.")
