"""The services: each a process of its own, sharing only topics, contracts and the ledger."""
