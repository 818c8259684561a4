"""Bodies of responses as a list's reader takes them: JSON as a whole; files record by record, a page's worth at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import requests

from integration_hub.connectors.body_layers import unpacked
from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.json_body import JSONBody
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.response_format import CSV, LINES, ResponseFormat, is_charset
from integration_hub.connectors.responses import charset_of, page_of
from integration_hub.connectors.text_records import Lines, csv_rows, json_lines
from integration_hub.connectors.xml_records import XMLRecords, nested

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector

Record = dict[str, Any]
_NO_CONTENT = (204, 205)
PART = 1000  # records that are held at a time


def opened(connector: BaseConnector, response: requests.Response, request: ListRequest) -> Body:
	"""Return the body of a response as the settings say it is. Raises MalformedAnswer for JSON that is none."""
	chosen = ResponseFormat.read(request.response)
	is_empty = bool(getattr(response, "ignored_status", 0)) or response.status_code in _NO_CONTENT
	if chosen.is_plain or is_empty:
		return JSONBody(connector, response, request)
	limit = connector.transport.limit
	body = FileBody(response, chosen, request, limit)
	if chosen.kind:
		return body
	response._content = body.whole()
	return JSONBody(connector, response, request)


class FileBody:
	"""The body of one response that was kept in a file.

	answer: what stands around the records, once all are read. count: how many they were. doubt: why the file may not be
	whole, though nothing in it says so. limit: bytes, unpacked.
	"""

	def __init__(
		self, response: requests.Response, chosen: ResponseFormat, request: ListRequest, limit: int
	) -> None:
		self._response, self._chosen, self._request, self._limit = response, chosen, request, limit
		self._encoding = response.headers.get("Content-Encoding", "").strip().lower()
		self._spool = getattr(response, "spool", None)
		if self._spool is None:  # a refusal that a rule takes for a success was read as a whole
			self._spool, self._encoding = BytesIO(response.content), ""
		self.answer: Any = None
		self.count = 0
		self.doubt: Doubt | None = None

	def begin(self, known: KnownSecrets) -> None:
		"""Do nothing: records are found while they are read, and nothing is computed with the whole."""

	def repeats(self, previous: Any, id_path: str) -> bool:
		"""Tell whether the file is the one before it, byte for byte, and holds records."""
		return isinstance(previous, FileBody) and bool(previous.count) and self._digest == previous._digest

	@property
	def counted(self) -> Sequence[Any]:
		"""Return as many elements as there were records."""
		return range(self.count)

	@cached_property
	def _digest(self) -> bytes:
		self._spool.seek(0)
		digest = sha256()
		while piece := self._spool.read(1024 * 1024):
			digest.update(piece)
		self._spool.seek(0)
		return digest.digest()

	def parts(self) -> Iterator[Sequence[Record]]:
		"""Return the records, PART at a time and at least once. Raises MalformedAnswer and TooLarge."""
		part: list[Record] = []
		for record in self._records():
			if len(part) == PART:
				yield part
				part = []
			part.append(record)
			self.count += 1
		yield part
		self._digest  # noqa: B018 - before the file goes
		self._spool.close()

	def whole(self) -> bytes:
		"""Return the unpacked body of JSON."""
		files = [file.read() for file in self._files()]
		if len(files) > 1:
			raise MalformedAnswer(f"The zip archive holds {len(files)} files of JSON, and one is expected.")
		return files[0]

	def _records(self) -> Iterator[Record]:
		if page := page_of(self._response):
			raise MalformedAnswer(f"{page} came instead of {self._chosen.kind}.")
		is_framed = _is_framed(self._response) or bool(self._chosen.compression)
		for file in self._files():
			yield from self._of(file, is_framed)

	def _of(self, file: IO[bytes], is_framed: bool) -> Iterator[Record]:
		if self._chosen.kind not in (LINES, CSV):
			records = XMLRecords(file, self._request.records_path, self._chosen.charset)
			yield from records
			self.answer = records.answer
			records.check_empty(self._request.records_optional)
			return
		lines = Lines(file, self._charset())
		yield from (
			json_lines(lines)
			if self._chosen.kind == LINES
			else csv_rows(lines, self._chosen, self._id_column)
		)
		if not is_framed:
			self.doubt = Doubt("the response has no length, so its end may be missing")
		elif not lines.ended and self._chosen.kind == CSV:
			self.doubt = Doubt("the last line of the CSV has no end, so it may be cut off")

	@property
	def _id_column(self) -> str:
		"""Return the column that even a CSV without rows must have, "" where the settings do not name one."""
		path = self._request.id_path
		return path if path.isidentifier() and not self._request.records_optional else ""

	def _charset(self) -> str:
		declared = charset_of(self._response)
		if self._chosen.charset or not declared:
			return self._chosen.charset
		if not is_charset(declared):
			raise MalformedAnswer(f"Its charset {declared[:40]!r} is not known.")
		return declared

	def _files(self) -> Iterator[IO[bytes]]:
		return unpacked(self._spool, self._encoding, self._chosen.compression, self._limit)


Body = FileBody | JSONBody


def first_part(body: Body, path: str) -> Any:
	"""Return an answer for a person to look at: JSON as it is, the first records of a file where they stand."""
	if isinstance(body, JSONBody):
		return body.answer
	records = list(next(body.parts()))
	return nested(records, path) if path else records


def _is_framed(response: requests.Response) -> bool:
	"""Tell whether the transfer itself says where the body ends; what ends with the connection may be cut off."""
	headers = response.headers
	is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
	return is_chunked or "Content-Length" in headers or bool(headers.get("Content-Encoding"))
