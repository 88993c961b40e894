"""A Lava process that feeds a batch of samples into a network and collects what it does."""
