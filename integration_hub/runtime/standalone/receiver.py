"""The standalone runtime behind the dedicated receiver: a runtime a thread, as long as its files stay what they are."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from integration_hub.runtime.standalone.hub_toml import load
from integration_hub.runtime.standalone.runtime import StandaloneRuntime
from integration_hub.webhooks.receiver import Receiver

# For the file's lock, each of the four times that a transaction is tried: a sender does not wait for longer.
_LOCK_SECONDS = 2.0


def application(config: str) -> Receiver:
	"""Return the receiver of a hub.toml."""
	folder = str(Path(config).parent)
	if folder not in sys.path:
		sys.path.append(folder)  # where the functions are that hub.toml names
	load(Path(config))  # before the first request
	return Receiver(ThreadRuntimes(config))


class ThreadRuntimes:
	"""Opens the runtimes of the threads of one process."""

	def __init__(self, config: Path | str) -> None:
		self._config = config
		self._thread = threading.local()

	def __call__(self) -> AbstractContextManager[StandaloneRuntime]:
		return self._runtime()

	@contextmanager
	def _runtime(self) -> Iterator[StandaloneRuntime]:
		runtime = getattr(self._thread, "runtime", None)
		if runtime and not runtime.is_current():
			self._thread.runtime = None
			runtime.close()
			runtime = None
		if not runtime:
			runtime = self._thread.runtime = StandaloneRuntime(self._config, lock_seconds=_LOCK_SECONDS)
		yield runtime
