"""`hub` and `python -m hub`: the command line, which SIGTERM ends from its first moment on."""

import signal
import sys


def main() -> None:
    """Entry point of `hub`."""
    # Process 1 of a container ignores what it does not handle, and the rest takes a second to load.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    from hub.cli.main import app  # noqa: PLC0415 - see above

    app()


if __name__ == "__main__":
    main()
