"""Homes: where the engine lives. `site` is a Frappe site, `file` is one SQLite file."""
