"""Errors of writes in words that name the document: what Frappe raises is markup, a tuple, or nothing at all."""

from __future__ import annotations

import re
from typing import Any

import frappe

from integration_hub.connectors.markup import is_markup, mark_plain, plain_text

# A DocType, and not a field or another document that begins alike: "must be after Sales Order Date".
_NAMED = r"(?<!\w)%s(?![ -]*\w)"


def explained(error: Exception, doctype: str, name: str | None) -> Exception:
	"""Return an error with a text for people, and take Frappe's messages out of the next dialog."""
	said = [plain_text(str(message.get("message", ""))) for message in frappe.get_message_log()]
	explanation = frappe.flags.pop("error_message", None) or ""
	frappe.clear_messages()
	if not isinstance(error, frappe.ValidationError | frappe.PermissionError | frappe.NameError):
		return error
	texts = [
		_own(error),
		*reversed(said),
		plain_text(explanation),
	]
	text = next((text.strip() for text in texts if text.strip()), type(error).__name__)
	error.args = (_placed(text, doctype, name),)
	mark_plain(error)
	return error


def _own(error: Exception) -> str:
	"""Return what an error says itself, "" if that is a tuple for code."""
	if len(error.args) != 1:
		return ""
	text = str(error.args[0])
	return plain_text(text) if is_markup(error) else text


def _placed(text: str, doctype: str, name: Any) -> str:
	"""Return a text with the document in front, where it does not name it itself."""
	words = {doctype, frappe._(doctype)}
	if name:
		known = str(name) in text and any(word in text for word in words)
	else:
		known = any(re.search(_NAMED % re.escape(word), text) for word in words)
	return text if known else f"{doctype} {name or '(new)'}: {text}"
