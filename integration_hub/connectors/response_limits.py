"""Limits on the parts of a response before its body: interim answers, and lines without an end."""

from __future__ import annotations

import io
from http.client import HTTPResponse, LineTooLong
from typing import Any

_LONGEST_LINE = 64 * 1024
_SWITCHING = 101


class _Lines(io.BufferedReader):
	"""Reads no line beyond 64 KB: the size of a chunk, say, may have any text behind it."""

	def readline(self, size: int | None = -1) -> bytes:
		bounded = size is None or size < 0
		line = super().readline(_LONGEST_LINE + 1 if bounded else size)
		if bounded and len(line) > _LONGEST_LINE:
			raise LineTooLong("line")
		return line


class LimitedResponse(HTTPResponse):
	"""An answer whose interim ones (RFC 9110, 15.2) are passed over, not only 100 Continue as Python does.

	Taken for the answer itself, `103 Early Hints` would leave the real one to the next request of the connection.
	"""

	def __init__(self, *args: Any, **options: Any) -> None:
		super().__init__(*args, **options)
		self.fp = _Lines(self.fp.detach())

	def _read_status(self) -> tuple[str, int, str]:
		version, status, reason = super()._read_status()
		while 100 < status < 200 and status != _SWITCHING:
			self._pass_over()
			version, status, reason = super()._read_status()
		return version, status, reason

	def _pass_over(self) -> None:
		while self.fp.readline() not in (b"\r\n", b"\n", b""):
			pass
