"""Errors of the sign-in, in Entra's shape."""

from datetime import UTC, datetime

from simulators.business_central.wire import Reply, json_reply


class SignInError(Exception):
    """A refusal: OAuth's `error`, and Entra's number that goes into description and error_codes."""

    def __init__(self, status: int, error: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.number = number
        self.text = text


def error_reply(error: SignInError, trace: str, correlation: str) -> Reply:
    """Render: the description carries code, trace, correlation and time, as Entra's does."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    description = (
        f"AADSTS{error.number}: {error.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"
    )
    body = {
        "error": error.error,
        "error_description": description,
        "error_codes": [error.number],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
    }
    return json_reply(error.status, body)
