"""Makes a network that was trained elsewhere adjustable. `story.py` has the steps in order."""
