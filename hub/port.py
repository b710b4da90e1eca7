"""The HTTP port of a process: opened before anything else is begun, so that a port that is taken ends it at once."""

import errno
import socket

from schemas.errors import ConfigurationError

# As uvicorn has it.
_BACKLOG = 2048


def open_port(host: str, port: int) -> socket.socket:
    """Bind the port and listen; 0 picks a free one.

    Raises:
        ConfigurationError: it is taken, or can't be had; says whom to ask for another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigurationError(_describe(host, port, error), code="http.port.unavailable") from error


def _describe(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is taken by another program. Stop that, or set HUB_HTTP_PORT to a free port."
        case errno.EACCES:
            return f"This user may not open port {port}. Set HUB_HTTP_PORT to one above 1023."
        case _:
            return f"{host} is no address of this machine: {error.strerror}. Check HUB_HTTP_HOST."
