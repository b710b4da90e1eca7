"""The stage runtime: the Kafka boundary, once for all services."""
