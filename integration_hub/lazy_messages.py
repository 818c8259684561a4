"""Sentences for people that a face may translate: the engine makes them, and does not know in which language."""

from __future__ import annotations

from typing import Any


class LazyMessage(str):
	"""A sentence in English, and what it was made of: `template`, with {0}, {1}, … for `values`."""

	template: str
	values: tuple[Any, ...]

	def __new__(cls, template: str, *values: Any) -> LazyMessage:
		self = super().__new__(cls, template.format(*values))
		self.template, self.values = template, values
		return self

	def __getnewargs__(self) -> tuple[Any, ...]:
		"""Let a copy be made of the template, not of the text, which may hold braces."""
		return (self.template, *self.values)


def _(template: str, *values: Any) -> LazyMessage:
	"""Make a sentence; named as Frappe's translation tools look for text."""
	return LazyMessage(template, *values)
