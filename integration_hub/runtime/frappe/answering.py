"""Requests that somebody waits for: tells whether code runs within one."""

import frappe


def is_answering() -> bool:
	"""Tell whether a request over HTTP is being answered: a person waits then, and a web worker with them."""
	return getattr(frappe.local, "request", None) is not None
