"""The `hub` command: composition of services, and everything an operator types."""
