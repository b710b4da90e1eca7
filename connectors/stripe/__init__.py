"""Stripe: client, signatures, paging, metadata limits. The only place that knows its HTTP and JSON."""
