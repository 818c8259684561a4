"""Explanations for errors of documents' own code: the fields that a record lacked."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from integration_hub.stores.fields import Fields

# What code fails with that had expected something else. All other errors are made to be read.
_STUMBLED = (TypeError, AttributeError, LookupError, ZeroDivisionError, NameError, AssertionError)
_MOST = 10


class NotSaved(Exception):
	"""A document's own code failed on a record; the text names the fields that the record lacks."""

	def __init__(self, error: Exception, doctype: str, missing: Sequence[str]) -> None:
		self.kind = type(error).__name__
		self.missing = missing
		lacks = f" The record has nothing for: {', '.join(missing)}." if missing else ""
		super().__init__(f"{doctype} could not be saved: its code failed with {self.kind}: {error}.{lacks}")


def explained(error: Exception, doctype: str, values: Mapping[str, Any], fields: Fields) -> Exception:
	"""Return an error of writing `values`, with what they lack if it is code that has failed."""
	if not isinstance(error, _STUMBLED) or type(error).__module__ != "builtins":
		return error
	told = NotSaved(error, doctype, _lacking(error, values, fields)[:_MOST])
	told.__cause__ = error
	return told.with_traceback(error.__traceback__)


def _lacking(error: Exception, values: Mapping[str, Any], fields: Fields) -> list[str]:
	"""Return the fields that the failed code names and that nothing is in; else the mapped or required ones of these.

	A table without rows comes first: what the code names is often a sum over them.
	"""
	missing = dict(_missing(values, fields))
	empty = [field for field in missing if values.get(field) == []]
	for frame in reversed(traceback.extract_tb(error.__traceback__)):
		words = set(re.findall(r"\w+", frame.line or ""))
		if named := [field for field in missing if field.rpartition(".")[2] in words]:
			return list(dict.fromkeys([*empty, *named]))
	return [field for field, expected in missing.items() if expected]


def _missing(values: Mapping[str, Any], fields: Fields, table: str = "") -> Iterator[tuple[str, bool]]:
	"""Return the fields that a document would have nothing in, and whether they are mapped or required."""
	for name, field in fields.items():
		if values.get(name) in (None, "", []):
			yield f"{table}{name}", name in values or field.required
		elif field.fields and isinstance(values[name], list):
			for row in values[name]:
				if isinstance(row, Mapping):
					yield from _missing(row, field.fields, f"{name}.")
