"""The execution semantics, in NumPy: networks, schedules, one readable definition."""
