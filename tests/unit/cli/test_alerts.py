"""`hub alerts test`: whether an alert would arrive, tried on real sockets."""

import asyncio

from tests.alert_receivers import Inbox, MailServer
from tests.unit.cli.conftest import Hub, Result

CHANNELS = "HUB_ALERT_WEBHOOK_URL", "HUB_ALERT_SMTP_URL", "HUB_ALERT_EMAIL_TO"


async def try_out(hub: Hub, **environment: str) -> Result:
    """Run the command beside the servers that it sends to."""
    return await asyncio.to_thread(hub, "alerts", "test", **environment)


async def test_a_trial_is_sent_by_every_channel(hub: Hub) -> None:
    inbox, mail = Inbox(), MailServer()
    async with inbox.open() as hook, mail.open() as smtp:
        values = hook, f"smtp://{smtp}", "ops@example.com, cfo@example.com"
        done = await try_out(hub, **dict(zip(CHANNELS, values, strict=True)))

    assert (done.code, done.out) == (0, "Sent by webhook and e-mail.\n")
    (text,), (sent,) = inbox.texts, mail.mails
    assert "Nothing is wrong." in text
    assert "Nothing is wrong." in sent
    assert "To: ops@example.com, cfo@example.com" in sent


async def test_a_channel_that_fails_is_named_with_what_to_check_and_the_other_has_it(hub: Hub) -> None:
    inbox, mail = Inbox(status=404), MailServer()
    async with inbox.open() as hook, mail.open() as smtp:
        values = hook, f"smtp://{smtp}", "ops@example.com"
        done = await try_out(hub, **dict(zip(CHANNELS, values, strict=True)))

    assert (done.code, done.out) == (1, "")
    assert "The webhook channel did not take it (HTTP 404). Check its HUB_ALERT_… settings" in done.err
    assert hook not in done.err
    assert len(mail.mails) == 1


async def test_channels_that_do_not_answer_are_all_named_without_their_secrets(hub: Hub) -> None:
    values = "http://127.0.0.1:1/secret", "smtp://hub:secret@127.0.0.1:1", "ops@example.com"
    done = await try_out(hub, **dict(zip(CHANNELS, values, strict=True)))

    assert done.code == 1
    assert "webhook channel did not take it (ConnectError)" in done.err
    assert "e-mail channel did not take it (ConnectionRefusedError)" in done.err
    assert "secret" not in done.err


def test_without_a_channel_it_says_which_names_to_set(hub: Hub) -> None:
    done = hub("alerts", "test")

    assert done.code == 2
    assert all(name in done.err for name in CHANNELS)
