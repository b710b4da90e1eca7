"""Alerts leave the hub here: a webhook that Slack and its like understand, and e-mail. Texts hold no secrets."""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import httpx

from hub.config import HubConfig

_DEADLINE = 10.0
_PROBLEMS = (httpx.HTTPError, httpx.InvalidURL, smtplib.SMTPException, OSError, ValueError)


class AlertNotSent(Exception):  # noqa: N818 - says what was not done
    """A channel did not take an alert. The text names the channel, and no address of it."""


@dataclass(frozen=True)
class AlertChannels:
    """The channels that the environment names; none of them is no error."""

    webhook_url: str | None = field(repr=False)
    smtp_url: str | None = field(repr=False)
    email_to: tuple[str, ...]

    @classmethod
    def from_config(cls, config: HubConfig) -> "AlertChannels":
        """Take them from the environment."""
        webhook, smtp = config.alert_webhook_url, config.alert_smtp_url
        return cls(
            webhook.get_secret_value() if webhook else None,
            smtp.get_secret_value() if smtp else None,
            tuple(one.strip() for one in config.alert_email_to.split(",") if one.strip()),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Name the channels there are."""
        named = (("webhook", self.webhook_url), ("e-mail", self.smtp_url and self.email_to))
        return tuple(name for name, has in named if has)

    async def send(self, text: str) -> None:
        """Send to all channels.

        Raises:
            AlertNotSent: one of them did not take it; the others have it.
        """
        await self.reach_all(lambda name: self.send_by(name, text))

    async def reach_all(self, tell: Callable[[str], Awaitable[None]]) -> None:
        """Do something for every channel: one that fails keeps no other from it.

        Raises:
            AlertNotSent: one or more failed.
        """
        problems: list[str] = []
        for name in self.names:
            try:
                await tell(name)
            except AlertNotSent as error:
                problems.append(str(error))
        if problems:
            raise AlertNotSent(" ".join(problems))

    async def send_by(self, name: str, text: str) -> None:
        """Send by one channel; each of its steps may take ten seconds.

        Raises:
            AlertNotSent: the channel did not take it.
        """
        try:
            await (self._post(text) if name == "webhook" else asyncio.to_thread(self._mail, text))
        except _PROBLEMS as error:
            raise AlertNotSent(f"The {name} channel did not take it ({_describe(error)}).") from None

    async def _post(self, text: str) -> None:
        async with (
            asyncio.timeout(_DEADLINE),
            httpx.AsyncClient(timeout=_DEADLINE) as http,
            # Only the status counts: what the answer says is not read, however long it is.
            http.stream("POST", self.webhook_url or "", json={"text": text}) as response,
        ):
            response.raise_for_status()

    def _mail(self, text: str) -> None:
        parts = urlsplit(self.smtp_url or "")
        message = EmailMessage()
        message["Subject"] = text.splitlines()[0][:150]
        message["From"], message["To"] = self.email_to[0], ", ".join(self.email_to)
        message.set_content(text)
        with _connect(parts.scheme, parts.hostname or "", parts.port) as smtp:
            if parts.username:
                _require_encryption(smtp)
                smtp.login(unquote(parts.username), unquote(parts.password or ""))
            smtp.send_message(message)


def _describe(error: Exception) -> str:
    """Say what went wrong without any text of the server's, which may repeat an address or a secret."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
    return type(error).__name__ + code


def _require_encryption(smtp: smtplib.SMTP) -> None:
    if not isinstance(smtp.sock, ssl.SSLSocket):
        raise AlertNotSent("The mail server offers no encryption, and without it no password is sent.")


def _connect(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    """`smtps` is encrypted from the start, `smtp` as soon as the server offers it."""
    context = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=_DEADLINE, context=context)
    smtp = smtplib.SMTP(host, port or 587, timeout=_DEADLINE)
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=context)
    return smtp
