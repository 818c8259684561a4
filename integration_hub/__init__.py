"""Integration Hub: connects a Frappe site to external systems."""

__version__ = "0.1.0"
