"""Runtimes: where the engine lives. `frappe` is a site, `standalone` is one SQLite file."""
