"""Calling what other apps have written: a function of theirs ends its own call, and not the process it runs in."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from integration_hub.connectors.markup import is_markup, plain_text

_LEAVING = (SystemExit, GeneratorExit, CancelledError)


class Attempt:
	"""The outcome of a block that may fail. error: what it failed with, None if it went well."""

	error: Exception | None = None


@contextmanager
def attempt(passes: Callable[[Exception], bool] = lambda error: False) -> Iterator[Attempt]:
	"""Run a block that calls code of other apps, or writes one record of many: a failure is its outcome, and ends no more.

	passes: tells which failures are raised all the same, since they are not the block's own.
	"""
	outcome = Attempt()
	try:
		yield outcome
	except Exception as error:  # the boundary of other apps' code, and of one record of many
		if passes(error):
			raise
		outcome.error = error


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
	with attempt():
		return str(error)
	return type(error).__name__
