"""Frappe looks for this module of a standard Notification; the message needs nothing of it."""
