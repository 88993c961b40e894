"""What Lava gets wrong, worked around in one place."""
