"""All-to-all synapses."""
