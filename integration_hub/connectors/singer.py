"""Singer taps as sources: a page is the records up to a STATE, and the state is committed with it.

Of the specification (v0.3.0): RECORD, SCHEMA, STATE, and ACTIVATE_VERSION of its later use. Endpoint is the tap's stream.
A list counts as whole only where ACTIVATE_VERSION of that stream follows its last record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.completeness_doubt import Doubt
from integration_hub.connectors.errors import ConnectorError, MalformedAnswer
from integration_hub.connectors.known_secrets import KnownSecrets, is_secret
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.tap_process import TapProcess
from integration_hub.connectors.taps import Tap

_LONGEST_STATE = 1_000_000
_IGNORED = frozenset({"SCHEMA", "METRIC"})
_UNSAID = Doubt("the tap did not say that it is (no ACTIVATE_VERSION)")


class SingerConnector(BaseConnector):
	"""A registered Singer tap. *Base URL* names it: `tap:NAME`."""

	taps: Mapping[str, Any] = {}
	folder = ""
	unused: ClassVar[frozenset[str]] = frozenset(
		{
			"records_path",
			"pagination",
			"page_size_param",
			"page_param",
			"cursor_path",
			"more_path",
			"lanes",
			"method",
		}
	)

	@property
	def tap(self) -> Tap:
		"""Return the registered tap; raises ConfigurationError."""
		return Tap.read(self.config.base_url, self.taps, self.folder)

	def url(self, path: str) -> str:
		"""Return what stands for an address in messages."""
		return self.config.base_url

	def request(self, method: str, path: str, **options: Any) -> Any:
		"""Start the tap to see whether it can be: a test of the connection. Raises ConnectorError."""
		with self._running(self.tap, "", ("--help",)) as process:
			for _line in process.lines():
				pass
			self._check_end(process)

	def pages(self, request: ListRequest) -> Iterator[Page]:
		"""Run the tap, and give the records of one of its streams. Raises MalformedAnswer for what is not Singer's."""
		tap = self.tap
		known = KnownSecrets(self.redactor)
		with self._running(tap, request.state) as process:
			reading = _Reading(request.endpoint, request.state, tap.record_limit)
			for line in process.lines():
				for page in reading.take(line):
					if known.stands_in(page.state):
						raise MalformedAnswer(f"STATE: {is_secret()}")
					yield page
			self._check_end(process)
			yield reading.last()

	def _check_end(self, process: TapProcess) -> None:
		if status := process.ended():
			raise MalformedAnswer(f"The tap ended with {status}.")

	@contextmanager
	def _running(self, tap: Tap, state: str, more: tuple[str, ...] = ()) -> Iterator[TapProcess]:
		"""Run a tap in a folder of its own; whatever happens, it is ended with all that it has started."""
		with TemporaryDirectory(prefix="tap-") as folder:
			variables = tap.variables(folder)
			for secret in tap.secrets(variables):
				self.redactor.add(secret)
			arguments = [*tap.arguments(), *(more or _files(tap, state, folder))]
			process = TapProcess(arguments, variables, folder, tap.seconds, tap.megabytes)
			try:
				yield process
			except ConnectorError as error:
				raise self._told(error, process) from None
			finally:
				process.kill()

	def _told(self, error: ConnectorError, process: TapProcess) -> ConnectorError:
		"""Return an error with the end of the tap's stderr, without secrets."""
		said = self.redactor.text(process.stderr, 1000)
		text = self.redactor.text(str(error), 500)
		return type(error)(f"{text} It said: {said}" if said else text)


def _files(tap: Tap, state: str, folder: str) -> list[str]:
	"""Return the arguments that name the tap's files; its state is written into its folder."""
	found = []
	for option, place in (("--config", tap.config), ("--catalog", tap.catalog)):
		if place:
			found += [option, tap.path(place)]
	if state:
		file = Path(folder) / "state.json"
		file.write_text(state)
		found += ["--state", str(file)]
	return found


class _Reading:
	"""Messages, as pages of one stream. limit: records of a page where no STATE comes."""

	def __init__(self, stream: str, state: str, limit: int) -> None:
		self.stream, self.state, self.limit = stream, state, limit
		self.records: list[dict[str, Any]] = []
		self.size = 0
		self.is_whole = False

	def take(self, line: bytes) -> Iterator[Page]:
		"""Take a message in; give a page behind a STATE, and where there is none for long."""
		if not line.strip():
			return
		message = _message(line)
		kind = message.get("type")
		if kind == "RECORD":
			self._record(message, len(line))
			if len(self.records) >= self.limit:
				yield self._page()
		elif kind == "STATE":
			self.state = _state(message)
			if self.records:
				yield self._page()
		elif kind == "ACTIVATE_VERSION":
			self.is_whole = self.is_whole or message.get("stream") == self.stream
		elif kind not in _IGNORED:
			raise MalformedAnswer(
				f"The tap sent a message of the type {str(kind)[:40]!r}, which is not known."
			)

	def _record(self, message: Mapping[str, Any], size: int) -> None:
		record = message.get("record")
		if not isinstance(message.get("stream"), str) or not isinstance(record, dict):
			raise MalformedAnswer("The tap sent a RECORD without a stream or an object.")
		if message["stream"] == self.stream:
			self.records.append(record)
			self.size += size
			self.is_whole = False  # ACTIVATE_VERSION comes first as well, where a version begins

	def _page(self) -> Page:
		page = Page(self.records, self.state, False, self.size)
		self.records, self.size = [], 0
		return page

	def last(self) -> Page:
		"""Return the last page: what came behind the last STATE."""
		return Page(self.records, self.state, True, self.size, None if self.is_whole else _UNSAID)


def _message(line: bytes) -> dict[str, Any]:
	try:
		found = json.loads(line, parse_constant=_no_constant)
	except (ValueError, RecursionError):
		raise MalformedAnswer(f"The tap sent a line that is no JSON: {line[:100]!r}.") from None
	if not isinstance(found, dict):
		raise MalformedAnswer("The tap sent a line that is no object.")
	return found


def _no_constant(name: str) -> None:
	raise ValueError(name)  # NaN and Infinity are no JSON


def _state(message: Mapping[str, Any]) -> str:
	text = json.dumps(message.get("value"), sort_keys=True)
	if len(text) > _LONGEST_STATE:
		raise MalformedAnswer(f"The tap sent a STATE of more than {_LONGEST_STATE:,} characters.")
	return text
