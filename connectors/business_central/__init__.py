"""Business Central: client, sign-in, limiter, error codes. The only place that knows its HTTP and JSON."""
