"""`python -m hub`: the same as the command `hub`."""

from hub.cli.main import main

main()
