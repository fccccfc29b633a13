"""Networks that can be downsampled at a point given as an argument."""
