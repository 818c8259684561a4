"""Marks that stand for secrets while a manifest is converted: no secret is ever part of a computation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MARK = re.compile("\x01([^\x01\x02]*)\x02")


def secret_mark(name: str) -> str:
	"""Return the text that stands for the answer to a secret question."""
	return f"\x01{name}\x02"


def secret_names(value: Any) -> list[str]:
	"""Return the questions whose answers stand in a text, or anywhere in lists and objects."""
	if isinstance(value, Mapping):
		value = [*value, *value.values()]
	if isinstance(value, list | tuple):
		return [name for one in value for name in secret_names(one)]
	return _MARK.findall(value) if isinstance(value, str) else []


def filled(text: str, answers: Mapping[str, str]) -> str:
	"""Return a text with the secrets in it; raises KeyError where one is missing."""
	return _MARK.sub(lambda found: answers[found[1]], text)


def shown(text: str) -> str:
	"""Return a text for a person, with names in place of secrets: `Token <api_key>`."""
	return _MARK.sub(lambda found: f"<{found[1]}>", text)
