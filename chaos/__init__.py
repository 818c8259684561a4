"""Faults under load, then a comparison of everything with everything: `python -m chaos --help`."""
