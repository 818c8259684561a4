"""A tap's process: its lines within bounds of time, memory and length, and its end with all that it has started."""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from integration_hub.connectors.errors import ConfigurationError, MalformedAnswer

_LONGEST_LINE = 16_000_000  # bytes of a message
_CHUNK = 65_536
_SHOWN = 2000  # characters of stderr that an error carries
_POLL = 0.2  # seconds between looks at a process that says nothing
_SILENCE = 2.0  # seconds that a pipe may stay open behind its process, held by another one


class TapProcess:
	"""A running tap. Raises ConfigurationError where it cannot be started."""

	def __init__(
		self, arguments: list[str], variables: Mapping[str, str], folder: str, seconds: float, megabytes: int
	) -> None:
		self._deadline, self._seconds = time.monotonic() + seconds, seconds
		self._errors: deque[bytes] = deque(maxlen=16)
		try:
			self._process = subprocess.Popen(
				arguments,
				stdin=subprocess.DEVNULL,
				stdout=subprocess.PIPE,
				stderr=subprocess.PIPE,
				env=dict(variables),
				cwd=folder,
				start_new_session=True,  # a group of its own, to be killed as a whole
				bufsize=0,
			)
		except (OSError, ValueError) as error:
			reason = getattr(error, "strerror", None) or str(error)
			raise ConfigurationError(f"{Path(arguments[0]).name} cannot be started ({reason}).") from None
		limit = megabytes * 1024 * 1024
		with suppress(OSError, ValueError):  # it has ended already
			resource.prlimit(self._process.pid, resource.RLIMIT_AS, (limit, limit))
			resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))

	@property
	def stderr(self) -> str:
		"""Return the end of what it said on stderr, with whatever secrets stand in it."""
		return b"".join(self._errors).decode("utf-8", "replace")[-_SHOWN:].strip()

	def lines(self) -> Iterator[bytes]:
		"""Return the lines of its output as they come. Raises MalformedAnswer for one that is too long, or too late."""
		pending = b""
		with selectors.DefaultSelector() as selector:
			for pipe in (self._process.stdout, self._process.stderr):
				os.set_blocking(pipe.fileno(), False)
				selector.register(pipe, selectors.EVENT_READ)
			for chunk in self._chunks(selector):
				*lines, pending = (pending + chunk).split(b"\n")
				yield from lines
				if len(pending) > _LONGEST_LINE:
					raise MalformedAnswer(f"The tap sent a line of more than {_LONGEST_LINE:,} bytes.")
		if pending.strip():
			yield pending

	def _chunks(self, selector: selectors.BaseSelector) -> Iterator[bytes]:
		silent_since: float | None = None
		while selector.get_map():
			if time.monotonic() > self._deadline:
				raise MalformedAnswer(f"The tap ran longer than {self._seconds:g} seconds, and was stopped.")
			ready = selector.select(_POLL)
			for key, _events in ready:
				yield from self._read(selector, key)
			if ready or self._process.poll() is None:
				silent_since = None
				continue
			silent_since = silent_since or time.monotonic()
			if time.monotonic() - silent_since > _SILENCE:
				return  # what it has started holds the pipe, and says nothing

	def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> Iterator[bytes]:
		chunk = os.read(key.fd, _CHUNK)
		if not chunk:
			selector.unregister(key.fileobj)
		elif key.fileobj is self._process.stderr:
			self._errors.append(chunk[-_SHOWN:])
		else:
			yield chunk

	def ended(self) -> int:
		"""Return its exit status, once it has ended. Raises MalformedAnswer where it goes on beyond its time."""
		try:
			return self._process.wait(max(_POLL, self._deadline - time.monotonic()))
		except subprocess.TimeoutExpired:
			raise MalformedAnswer(
				f"The tap ran longer than {self._seconds:g} seconds, and was stopped."
			) from None

	def kill(self) -> None:
		"""End it and all that it has started in its group."""
		with suppress(ProcessLookupError, PermissionError):
			os.killpg(self._process.pid, signal.SIGKILL)
		self._process.wait()
		for pipe in (self._process.stdout, self._process.stderr):
			pipe.close()
