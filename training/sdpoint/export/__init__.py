"""Exports a calibrated network as a family: a folder that the service reads. See `family.py` for the story."""


class ExportError(ValueError):
    """A family that cannot be written, or that does not hold what it promises; the message says what and why."""
