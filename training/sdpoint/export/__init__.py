"""Exports a calibrated network as a family, a folder that the service reads. `family.py` has the steps in order."""


class ExportError(ValueError):
    """A family cannot be written, or fails a check after writing; the message says what is wrong."""
