"""The HTTP ports of a process: opened before anything else is begun, so that a port that is taken ends it at once."""

import errno
import socket
from dataclasses import dataclass

from schemas.errors import ConfigurationError

# As uvicorn has it.
_BACKLOG = 2048


@dataclass(frozen=True)
class PortNames:
    """Which settings name a port and its address."""

    port: str
    host: str


HTTP_PORT = PortNames("HUB_HTTP_PORT", "HUB_HTTP_HOST")
ADMIN_PORT = PortNames("HUB_ADMIN_PORT", "HUB_ADMIN_HOST")


def open_port(host: str, port: int, *, names: PortNames = HTTP_PORT) -> socket.socket:
    """Bind the port and listen; 0 picks a free one.

    Raises:
        ConfigurationError: it is taken, or can't be had; says whom to ask for another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(_describe(host, port, error, names), code="http.port.unavailable") from error


def _describe(host: str, port: int, error: OSError, names: PortNames) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is taken by another program. Stop that, or set {names.port} to a free port."
        case errno.EACCES:
            return f"This user may not open port {port}. Set {names.port} to one above 1023."
        case _:
            return f"{host} is no address of this machine: {error.strerror}. Check {names.host}."
