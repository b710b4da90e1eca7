"""HTTP in: webhooks; catch-up from the Events API; the waker; the sweep. What comes in goes to the head topic."""
