"""Another Frappe site through its REST API: `modified` is the source time, Deleted Document the deletions.

Authenticate with an API key pair: kind *API Key Header*, name `Authorization`, secret `token KEY:SECRET`; or
with OAuth2. The endpoint is `/api/resource/<DocType>`; ids are at `name`, times of change at `modified`, and
deletions at `deleted`. The site's times have no zone and are compared as they are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import requests

from integration_hub.connectors.base import BaseConnector
from integration_hub.connectors.errors import MalformedAnswer
from integration_hub.connectors.oauth2 import OAuth2Connector
from integration_hub.connectors.pages import ListRequest, Page

Filters = list[list[Any]]


class FrappeConnector(BaseConnector):
	"""Lists of documents of another Frappe site.

	Pages are walked by key, not by offset: a document that changes meanwhile is met again, never missed.
	"""

	def pages(self, request: ListRequest) -> Iterator[Page]:
		size = int(request.pagination.get("page_size") or 100)
		since = request.since.rstrip("Z").replace("T", " ")
		# Deletions first: a document that was deleted and made again is then there in the end.
		if request.with_deletions and since:
			yield from self._walk(
				"/api/resource/Deleted Document",
				["name", "deleted_name", "creation"],
				[["deleted_doctype", "=", _doctype(request.endpoint)], ["restored", "=", 0]],
				"creation",
				since,
				size,
				last=False,
			)
		fields = json.loads(request.params.get("fields", '["*"]'))
		filters = json.loads(request.params.get("filters", "[]"))
		yield from self._walk(
			request.endpoint, fields, filters, "modified" if since else "name", since, size, last=True
		)

	def _walk(
		self,
		endpoint: str,
		fields: list[str],
		filters: Filters,
		key: str,
		after: str,
		size: int,
		*,
		last: bool,
	) -> Iterator[Page]:
		"""Walk documents in the order of `key`, from `after` on. Ties at a page's edge are skipped by number."""
		skip = 0
		while True:
			response = self._list(endpoint, fields, [*filters, *_from(key, after)], key, size, skip)
			rows = self.parse(response)
			records = rows.get("data") if isinstance(rows, dict) else None
			if not isinstance(records, list):
				raise MalformedAnswer("The site's answer has no list at 'data'.")
			more = len(records) == size
			yield Page([_record(row) for row in records], "", last and not more, len(response.content))
			if not more:
				return
			edge = records[-1][key]
			ties = sum(row[key] == edge for row in records)
			skip = skip + ties if edge == after else ties
			after = edge

	def _list(
		self, endpoint: str, fields: list[str], filters: Filters, key: str, size: int, skip: int
	) -> requests.Response:
		params = {
			"fields": json.dumps(fields),
			"filters": json.dumps(filters),
			"order_by": f"{key} asc, name asc" if key != "name" else "name asc",
			"limit_start": skip,
			"limit_page_length": size,
		}
		return self.request("GET", endpoint, params=params, raw=True)


class OAuth2FrappeConnector(OAuth2Connector, FrappeConnector):
	"""Another Frappe site, behind OAuth2."""


def _from(key: str, after: str) -> Filters:
	return [[key, ">=", after]] if after else []


def _doctype(endpoint: str) -> str:
	return unquote(endpoint.rstrip("/").rpartition("/")[2])


def _record(row: dict[str, Any]) -> dict[str, Any]:
	"""Return a document as it is, a Deleted Document as a tombstone of what it was."""
	if "deleted_name" in row:
		return {"name": row["deleted_name"], "modified": row["creation"], "deleted": True}
	return row
