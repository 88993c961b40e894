"""Studies: the recipe, training with checkpoints, comparing ways to train and to run."""
