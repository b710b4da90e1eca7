"""The fault bench: the whole hub as processes, with everything around it failing, counted from outside."""
