"""Pure business rules: is an invoice due, what does its draft look like, what does a new customer. No I/O."""
