"""The only one that writes to Stripe: the ledger's current outcome, as metadata of the invoice."""
