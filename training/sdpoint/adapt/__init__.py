"""Makes a network that others trained adjustable after the fact. See `story.py`."""
