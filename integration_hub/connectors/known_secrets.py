"""The secrets of an integration among values that come from outside.

An external system may send back what it was sent, and a sender's body may hold the secret it signs with. What is made of
such a value stands in documents, logs and answers, where nothing masks it: so it becomes nothing.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from typing import Any

from integration_hub.connectors import secret_forms
from integration_hub.connectors.redact import Redactor
from integration_hub.lazy_messages import LazyMessage, _

_SURE = 8  # characters: a shorter secret may stand in a value by chance, and is one only as the whole of it


class KnownSecrets:
	"""Finds secrets that a redactor knows; those it learns later as well, such as tokens."""

	def __init__(self, redactor: Redactor) -> None:
		self._redactor = redactor
		self._read = -1
		self._refresh()

	def stands_in(self, text: str) -> bool:
		"""Tell whether a text is a secret, or one stands in it, however it is written."""
		self._refresh()
		if text.strip() in self._whole or any(form in text for form in self._forms):
			return True
		# No way of writing makes a text shorter.
		return len(text) >= self._shortest and bool(secret_forms.find(text, self._long))

	def stands_in_repr(self, text: str) -> bool:
		"""Tell whether values hold a secret as it is or in Base64, by their `repr`: for many of them, at little cost."""
		if self._read != self._redactor.size:
			self._refresh()
		return any(form in text for form in self._forms)

	def stands_in_any(self, data: Any) -> bool:
		"""Tell whether a secret stands in data, as it is or in Base64; what cannot be looked through is taken for one."""
		try:
			return self.stands_in_repr(repr(data))
		except (ValueError, RecursionError):  # a number of thousands of digits has no text
			return True

	def _refresh(self) -> None:
		if self._read == self._redactor.size:
			return
		self._read = self._redactor.size
		self._whole = frozenset(
			bare for value in self._redactor.known if len(bare := value.strip()) >= secret_forms.SHORTEST
		)
		self._long = tuple(value for value in self._whole if len(value) >= _SURE)
		self._shortest = min(map(len, self._long), default=sys.maxsize)
		self._forms = tuple({form for value in self._whole for form in _forms(value)})


def is_secret() -> LazyMessage:
	"""Return the reason for refusing a value that is a secret; it names neither the value nor the secret."""
	return _("it contains a secret of this integration, which must not reach documents and logs")


def _forms(value: str) -> Iterator[str]:
	if len(value) < _SURE:
		yield repr(value)
		return
	yield value
	yield repr(value)[1:-1]
	raw = value.encode("utf-8", "replace")
	yield base64.b64encode(raw).decode().rstrip("=")
	yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
