"""Functions of an app that mean no good, or were written in a hurry: each fails in a way of its own."""

from __future__ import annotations

import asyncio
import sys
from urllib.error import HTTPError


class Mute(Exception):
	"""An error that cannot be told."""

	def __str__(self) -> str:
		raise RuntimeError("no")


class Odd(Exception):
	"""An error with the attributes of the engine's own, in other types; reading one of them fails."""

	kind = b"bytes"
	status = "late"
	body = object()

	@property
	def distinct(self) -> str:
		raise RuntimeError("no")


def mute(*given: object) -> None:
	raise Mute


def odd(*given: object) -> None:
	raise Odd("x")


def http(*given: object) -> None:
	raise HTTPError("https://example.com/?secret=s3cret", 502, "Bad", {}, None)


def long(*given: object) -> None:
	raise ValueError("x" * 5_000_000)


def control(*given: object) -> None:
	raise ValueError("\x1b]0;x\x07\0\ud800")


def leave(*given: object) -> None:
	sys.exit(3)


def generator(*given: object) -> None:
	raise GeneratorExit


def cancelled(*given: object) -> None:
	raise asyncio.CancelledError


def deep(*given: object) -> None:
	deep(*given)


def memory(*given: object) -> None:
	raise MemoryError


def good(*given: object) -> str:
	return "good"


FAILING = ("mute", "odd", "http", "long", "control", "leave", "generator", "cancelled", "deep", "memory")
