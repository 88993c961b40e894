"""The arbiter of all spikes of the populations connected to it."""
