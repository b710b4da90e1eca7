"""A strict, stateful simulator of Business Central's API v2.0 and of the Entra sign-in in front of it."""
