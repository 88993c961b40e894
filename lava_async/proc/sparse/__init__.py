"""Synapses given one by one."""
