"""The remote systems: the only places that know their HTTP and JSON."""
