"""Another Frappe site through its REST API: `modified` is the source time, Deleted Document the deletions.

Authenticate with an API key pair: kind *API Key Header*, name `Authorization`, secret `token KEY:SECRET`; or
with OAuth2. The endpoint is `/api/resource/<DocType>`; ids are at `name`, times of change at `modified`, and
deletions at `deleted`. The site's times have no zone and are compared as they are written: where
its clocks go back in autumn, an overlap of an hour (3600) covers what changes in the hour that comes twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from integration_hub.connectors.answers import shape
from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import ConfigurationError, MalformedAnswer
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pages import ListRequest, Page

Filters = list[list[Any]]
Read = tuple[list[dict[str, Any]], int, bool]  # documents, bytes, is it the last page


class FrappeConnector(BaseConnector):
	"""Lists of documents of another Frappe site.

	Pages are walked by key, not by offset: what changes meanwhile is met again, and what stays is not missed.
	"""

	stable_pages = True
	deletions_apart = True

	def pages(self, request: ListRequest) -> Iterator[Page]:
		size = int(request.pagination.get("page_size") or 100)
		since = request.since.rstrip("Z").replace("T", " ")
		# Deletions first: a document that was deleted and made again is then there in the end.
		if request.with_deletions and since:
			doctype = [["deleted_doctype", "=", _doctype(request.endpoint)], ["restored", "=", 0]]
			for rows, read, _ in self._by_time(
				"/api/resource/Deleted Document",
				["name", "deleted_name", "creation"],
				doctype,
				"creation",
				since,
				size,
			):
				yield Page([_tombstone(row) for row in rows], "", False, read)
		fields = _json(request, "fields", '["*"]')
		if "*" not in fields:
			fields = [*dict.fromkeys([*fields, "name", "modified"])]
		filters = _json(request, "filters", "[]")
		walk = (
			self._by_time(request.endpoint, fields, filters, "modified", since, size)
			if request.by_time or since
			else self._by_name(request.endpoint, fields, filters, size)
		)
		for rows, read, last in walk:
			yield Page(rows, "", last, read)

	def _by_name(self, endpoint: str, fields: list[str], filters: Filters, size: int) -> Iterator[Read]:
		"""Walk all documents in the order of their names."""
		name = ""
		while True:
			behind = [["name", ">", name]] if name else []
			rows, read = self._list(endpoint, fields, [*filters, *behind], "name asc", size)
			yield rows, read, len(rows) < size
			if len(rows) < size:
				return
			name = rows[-1]["name"]

	def _by_time(
		self, endpoint: str, fields: list[str], filters: Filters, key: str, since: str, size: int
	) -> Iterator[Read]:
		"""Walk documents from a time on. Those that share the time at a page's edge are walked by name."""
		bound = [[key, ">=", since]] if since else []
		while True:
			rows, read = self._list(endpoint, fields, [*filters, *bound], f"{key} asc, name asc", size)
			yield rows, read, len(rows) < size
			if len(rows) < size:
				return
			edge = rows[-1][key]
			same, name = [[key, "=", edge]], rows[-1]["name"]
			while True:
				ties, read = self._list(
					endpoint, fields, [*filters, *same, ["name", ">", name]], "name asc", size
				)
				yield ties, read, False
				if len(ties) < size:
					break
				name = ties[-1]["name"]
			bound = [[key, ">", edge]]

	def _list(
		self, endpoint: str, fields: list[str], filters: Filters, order: str, size: int
	) -> tuple[list[dict[str, Any]], int]:
		"""Return documents and the bytes of the answer."""
		params = {
			"fields": json.dumps(fields),
			"filters": json.dumps(filters),
			"order_by": order,
			"limit_page_length": size,
		}
		response = self.request("GET", endpoint, params=params, raw=True)
		answer = self.parse(response)
		rows = answer.get("data") if isinstance(answer, dict) else None
		if not isinstance(rows, list):
			error = MalformedAnswer(f"The site's answer has no list at 'data'; {shape(answer)}.")
			raise self.explain(error, response)
		return rows, len(response.content)


class OAuth2FrappeConnector(OAuth2Connector, FrappeConnector):
	"""Another Frappe site, behind OAuth2."""


def _json(request: ListRequest, name: str, default: str) -> Any:
	"""Return what a query parameter says in JSON; raises ConfigurationError where it is none."""
	try:
		return json.loads(request.params.get(name, default))
	except (TypeError, ValueError):
		raise ConfigurationError(f"{name} is not one JSON value.", field="params") from None


def _doctype(endpoint: str) -> str:
	return unquote(endpoint.rstrip("/").rpartition("/")[2])


def _tombstone(row: dict[str, Any]) -> dict[str, Any]:
	"""Return what a Deleted Document says of the document it was."""
	return {"name": row["deleted_name"], "modified": row["creation"], "deleted": True}
