"""One draft for this invoice: looked for, created, compared to the cent."""
