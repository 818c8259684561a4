"""Calling what other apps have written: a function of theirs ends its own call, and not the process it runs in."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from functools import wraps
from typing import Any

from integration_hub.connectors.markup import is_markup, plain_text

_LEAVING = (SystemExit, GeneratorExit, CancelledError)


class ExitAttempted(Exception):
	"""A function wanted to end the process, as `sys.exit()` does: there are others' events and streams in it."""


def contained(function: Callable[..., Any]) -> Callable[..., Any]:
	"""Return a function that raises ExitAttempted where `function` would end the process; Ctrl+C still ends it."""

	@wraps(function)
	def call(*args: Any, **options: Any) -> Any:
		try:
			return function(*args, **options)
		except _LEAVING as error:
			raise ExitAttempted(
				f"{type(error).__name__}({error}): a function must not end the process it runs in"
			) from error

	return call


def error_text(error: object) -> str:
	"""Return the text of an error, plain where it is Frappe's HTML; the name of its class if it has no text."""
	text = untouched(error)
	return plain_text(text) if is_markup(error) else text


def untouched(error: object) -> str:
	"""Return the text of an error as it is; the name of its class if it has no text."""
	try:
		return str(error)
	except Exception:  # noqa: BLE001 - the boundary of an app's own class, while another failure is told
		return type(error).__name__
