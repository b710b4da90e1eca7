"""The demonstration: the whole hub against the two simulators, counted from outside."""
