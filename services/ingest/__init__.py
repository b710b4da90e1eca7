"""HTTP in: webhooks; catch-up from the Events API; the waker. Everything that comes in goes to the head topic."""
