"""A stateful simulator of the Stripe API at version 2026-10-28.endive; knows nothing of the hub."""
