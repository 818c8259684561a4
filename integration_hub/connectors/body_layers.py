"""Layers around the body of a response: what transfers and files are compressed with, taken off piece by piece.

Nothing is trusted for its size: what comes out is counted, and what ends before its own end is an error.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from integration_hub.connectors.errors import MalformedAnswer, TooLarge
from integration_hub.connectors.response_format import GZIP, ZIP

_MAGIC = b"\x1f\x8b"  # of gzip (RFC 1952, 2.3.1)
_BUFFER = 64 * 1024
_MOST_FILES = 1000  # in an archive
_UNFIT = (
	EOFError,
	OSError,
	zlib.error,
	BadZipFile,
	LargeZipFile,
	NotImplementedError,
	RuntimeError,
	ValueError,
)


class Counted(io.RawIOBase):
	"""A binary stream that raises TooLarge beyond `limit` bytes, and MalformedAnswer for damage within its layers."""

	def __init__(self, inner: IO[bytes], limit: int, what: str) -> None:
		self._inner, self._limit, self._what = inner, limit, what
		self.size = 0

	def readable(self) -> bool:
		"""Tell that it can be read."""
		return True

	def readinto(self, buffer: memoryview) -> int:
		"""Read the next bytes into a buffer; return how many there were."""
		try:
			found = self._inner.read(len(buffer))
		except _UNFIT as error:
			raise MalformedAnswer(
				f"The {self._what} is damaged or cut off ({type(error).__name__})."
			) from None
		self.size += len(found)
		if self.size > self._limit:
			raise TooLarge(f"More than {self._limit / 1024 / 1024:g} MB, unpacked.")
		buffer[: len(found)] = found
		return len(found)


def unpacked(body: IO[bytes], encoding: str, compression: str, limit: int) -> Iterator[IO[bytes]]:
	"""Return the files of a body, one for all but archives, without what they are compressed with.

	encoding: the Content-Encoding. limit: bytes of each layer. Raises MalformedAnswer and TooLarge, as reading does.
	"""
	outer = _transferred(body, encoding, limit)
	if compression == ZIP:
		yield from _archived(outer, body, encoding, limit)
	elif compression == GZIP and not (encoding == "gzip" and outer.peek(2)[:2] != _MAGIC):
		yield _buffered(gzip.GzipFile(fileobj=outer), limit, "gzip file")
	else:
		yield outer  # a server may have said of the file's own compression that it is the transfer's


def _transferred(body: IO[bytes], encoding: str, limit: int) -> io.BufferedReader:
	if encoding in ("", "identity"):
		return _buffered(body, limit, "response")
	if encoding in ("gzip", "x-gzip"):
		return _buffered(gzip.GzipFile(fileobj=body), limit, "response in gzip")
	raise MalformedAnswer(f"It is encoded as {encoding[:40]!r}, which was not asked for.")


def _archived(outer: io.BufferedReader, body: IO[bytes], encoding: str, limit: int) -> Iterator[IO[bytes]]:
	if encoding not in ("", "identity"):
		raise MalformedAnswer(f"A zip archive within {encoding[:40]!r} is not read.")
	try:
		archive = ZipFile(body)
	except _UNFIT:
		raise MalformedAnswer("It is not a zip archive, or one that is cut off.") from None
	left = limit
	with archive:
		files = [file for file in archive.infolist() if _is_file(file)]
		if not files or len(files) > _MOST_FILES:
			raise MalformedAnswer(
				f"The zip archive holds {len(files)} files; it must be from 1 to {_MOST_FILES}."
			)
		for file in files:
			counted = Counted(_opened(archive, file), left, "zip archive")
			yield io.BufferedReader(counted, _BUFFER)
			left -= counted.size  # all files together


def _opened(archive: ZipFile, file: ZipInfo) -> IO[bytes]:
	try:
		return archive.open(file)
	except _UNFIT:
		raise MalformedAnswer(
			"The zip archive is encrypted, damaged, or packed in a way that is not known."
		) from None


def _is_file(file: ZipInfo) -> bool:
	return not file.is_dir() and not file.filename.startswith("__MACOSX/")


def _buffered(inner: IO[bytes], limit: int, what: str) -> io.BufferedReader:
	return io.BufferedReader(Counted(inner, limit, what), _BUFFER)
