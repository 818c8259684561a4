"""Another Frappe site through its REST API: `modified` is the source time, Deleted Document the deletions, Comment the renames.

Authenticate with an API key pair: kind *API Key Header*, name `Authorization`, secret `token KEY:SECRET`; or
with OAuth2. The endpoint is `/api/resource/<DocType>`; ids are at `name`, times of change at `modified`, and
deletions at `deleted`. The site's times have no zone and are compared as they are written: where
its clocks go back in autumn, an overlap of an hour (3600) covers what changes in the hour that comes twice.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import unquote

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import AccessDenied, ConfigurationError, MalformedAnswer
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pages import ListRequest, Page
from integration_hub.connectors.responses import shape

Filters = list[list[Any]]
_NAMES = 10  # names that are asked for at a time
_BOLD = re.compile(r"<(?:strong|b)>(.*?)</(?:strong|b)>", re.DOTALL)
Read = tuple[list[dict[str, Any]], int, bool]  # documents, bytes, is it the last page


class FrappeConnector(BaseConnector):
	"""Lists of documents of another Frappe site.

	Pages are fetched by key, not by offset: what changes meanwhile is met again, and what stays is not missed.
	"""

	unused = frozenset(
		{
			"records_path",
			"pagination",
			"page_size_param",
			"page_param",
			"cursor_path",
			"more_path",
			"stable_pages",
			"lanes",
			"changed_since_param",
			"changed_until_param",
			"delta_path",
			"first_page",
			"total_path",
			"pages_path",
			"short_page_ends",
			"end_statuses",
			"method",
			"body_format",
			"body",
			"variables",
			"headers",
			"response_format",
			"response_compression",
			"response_charset",
			"csv_delimiter",
			"csv_columns",
		}
	)
	usual: ClassVar[dict[str, str]] = {
		"id_path": "name",
		"updated_at_path": "modified",
		"deleted_path": "deleted",
	}
	stable_pages = True
	deletions_apart = True

	def pages(self, request: ListRequest) -> Iterator[Page]:
		"""Return the pages of a DocType's documents, deletions and renames first where both are asked for."""
		size = int(request.pagination.get("page_size") or 100)
		since = request.since.rstrip("Z").replace("T", " ")
		# Deletions first: a document that was deleted and made again is then there in the end.
		if request.with_deletions and since:
			yield from self._deletions(_doctype(request.endpoint), since, size)
		fields = _json(request, "fields", '["*"]')
		if "*" not in fields:
			fields = [*dict.fromkeys([*fields, "name", "modified"])]
		filters = _json(request, "filters", "[]")
		if request.with_deletions and since:
			yield from self._renames(request.endpoint, fields, filters, since, size)
		batches = (
			self._by_time(request.endpoint, fields, filters, "modified", since, size)
			if request.by_time or since
			else self._by_name(request.endpoint, fields, filters, size)
		)
		for rows, read, last in batches:
			yield Page(rows, "", last, read)

	def _deletions(self, doctype: str, since: str, size: int) -> Iterator[Page]:
		"""Return what was deleted since a time. What was restored under its own name is there; under another, it is not."""
		fields = ["name", "deleted_name", "creation", "restored", "new_name"]
		of = [["deleted_doctype", "=", doctype]]
		place = "/api/resource/Deleted Document"
		for rows, read, _ in self._by_time(place, fields, of, "creation", since, size):
			gone = [row for row in rows if not row["restored"] or row["new_name"] != row["deleted_name"]]
			yield Page([_tombstone(row["deleted_name"], row["creation"]) for row in gone], "", False, read)

	def _renames(
		self, endpoint: str, fields: list[str], filters: Filters, since: str, size: int
	) -> Iterator[Page]:
		"""Return what was renamed or merged since a time: the old names as deletions, the documents as they are now.

		A rename leaves `modified` as it was; only a comment of the document tells of it. A user who may not read
		comments sees no renames.
		"""
		of = [["reference_doctype", "=", _doctype(endpoint)], ["comment_type", "=", "Edit"]]
		columns = ["name", "creation", "reference_name", "content"]
		comments = self._by_time("/api/resource/Comment", columns, of, "creation", since, size)
		try:
			for rows, read, _ in comments:
				olds = {old: row["creation"] for row in rows if (old := _renamed(row["content"]))}
				if not olds:
					continue
				new = [row["reference_name"] for row in rows if _renamed(row["content"])]
				alive, looked = self._named(endpoint, ["name"], [], [*olds])
				found, met = self._named(endpoint, fields, filters, new)
				for one in alive:  # renamed back, or another one of that name
					olds.pop(one["name"], None)
				gone = [_tombstone(name, time) for name, time in olds.items()]
				yield Page([*gone, *found], "", False, read + looked + met)
		except AccessDenied:
			return

	def _by_name(self, endpoint: str, fields: list[str], filters: Filters, size: int) -> Iterator[Read]:
		"""Fetch all documents in the order of their names."""
		name, end = "", _End(size)
		while True:
			behind = [["name", ">", name]] if name else []
			rows, read = self._list(endpoint, fields, [*filters, *behind], "name asc", size)
			last = end.is_behind(rows)
			yield rows, read, last
			if last:
				return
			name = rows[-1]["name"]

	def _by_time(
		self, endpoint: str, fields: list[str], filters: Filters, key: str, since: str, size: int
	) -> Iterator[Read]:
		"""Fetch documents from a time on. Those that share the time at a page's edge are fetched by name."""
		bound, end = [[key, ">=", since]] if since else [], _End(size)
		while True:
			rows, read = self._list(endpoint, fields, [*filters, *bound], f"{key} asc, name asc", size)
			last = end.is_behind(rows)
			yield rows, read, last
			if last:
				return
			edge = rows[-1][key]
			same, name = [[key, "=", edge]], rows[-1]["name"]
			while True:
				ties, read = self._list(
					endpoint, fields, [*filters, *same, ["name", ">", name]], "name asc", size
				)
				yield ties, read, False
				if end.is_behind(ties):
					break
				name = ties[-1]["name"]
			bound = [[key, ">", edge]]

	def _named(
		self, endpoint: str, fields: list[str], filters: Filters, names: list[str]
	) -> tuple[list[dict[str, Any]], int]:
		"""Return the documents of these names, few at a time: a URL may not be long; and the bytes of the answers."""
		found, read = [], 0
		for place in range(0, len(names), _NAMES):
			some = [*filters, ["name", "in", names[place : place + _NAMES]]]
			rows, size = self._list(endpoint, fields, some, "name asc", _NAMES)
			found += rows
			read += size
		return found, read

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


class _End:
	"""The end of a list: a page that is empty, or shorter than one that was full.

	Before one was full, a short page proves nothing: something in between may cap what it was asked for.
	"""

	def __init__(self, size: int) -> None:
		self._size = size
		self._has_been_full = False

	def is_behind(self, rows: list[dict[str, Any]]) -> bool:
		"""Tell whether nothing follows a page, which is the next one of the list."""
		self._has_been_full = self._has_been_full or len(rows) >= self._size
		return not rows or (self._has_been_full and len(rows) < self._size)


def _tombstone(name: str, time: str) -> dict[str, Any]:
	"""Return what tells that a document is gone."""
	return {"name": name, "modified": time, "deleted": True}


def _renamed(comment: object) -> str:
	"""Return the old name from the comment on a rename or merge, in whatever language it is; "" for another comment."""
	names = _BOLD.findall(comment) if isinstance(comment, str) else []
	return html.unescape(names[0]) if len(names) == 2 and names[0] != names[1] else ""
