"""Strict stand-ins for Stripe and Business Central, servers of their own. They import nothing of the hub."""
