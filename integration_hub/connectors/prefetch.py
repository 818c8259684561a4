"""Fetching one page ahead: while the caller writes a page, the one behind it is on its way.

Never two requests at a time, and never more than one page that nobody has asked for yet. An attempt that fails is
repeated in the caller's thread, and not before the page is asked for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import requests

from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.pagination import Paginator

if TYPE_CHECKING:
	from integration_hub.connectors.base import BaseConnector
	from integration_hub.connectors.request_template import Call


class Prefetcher:
	"""Fetches the page that a paginator stands at; the caller updates `paginator` with each answer."""

	def __init__(
		self, connector: BaseConnector, call: Callable[[Paginator], Call], paginator: Paginator
	) -> None:
		self._connector, self._call, self._paginator = connector, call, paginator
		self._begun: Future | None = None

	def begin(self) -> None:
		"""Have the page fetched in another thread.

		Secrets are read in the caller's, for they live in a database connection. Raises no ConnectorError: the
		page in progress is not to suffer from what the next one meets.
		"""
		if self._paginator.done:
			return
		self._begun = future = Future()
		try:
			call = self._call(self._paginator)
			auth = self._connector.credentials()
		except ConnectorError as error:
			future.set_exception(error)  # it is raised where the page is asked for
			return

		def work() -> None:
			try:
				once = lambda: True  # noqa: E731 - what fails is repeated where the page is asked for
				future.set_result(
					self._connector.request(
						call.method, call.path, raw=True, auth=auth, wanted=once, **call.options
					)
				)
			except BaseException as error:  # noqa: BLE001 - it is raised where the page is asked for
				future.set_exception(error)

		# A daemon: a process that is told to stop does not wait for an answer that nobody wants. It ends with the
		# attempt it is at, once the connector is closed.
		threading.Thread(target=work, name="ahead", daemon=True).start()

	def fetch(self) -> requests.Response:
		"""Return the answer for the page, whether it was begun or not. Raises ConnectorError."""
		begun, self._begun = self._begun, None
		call = self._call(self._paginator)
		return self._connector.request(
			call.method, call.path, raw=True, begun=begun.result if begun else None, **call.options
		)
