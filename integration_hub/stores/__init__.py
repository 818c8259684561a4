"""Stores: the only place that knows a database."""
