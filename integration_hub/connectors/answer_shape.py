"""The shape of an answer: where its lists are, which keys their records have, how it says that it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integration_hub.connectors.link_header import next_link

_LEVELS = 5  # levels of objects that lists are looked for in
_DEEP = 3  # levels of objects within a record whose keys are named
_MOST_KEYS = 200
_LOOKED_AT = 50  # records of a list
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Place:
	"""A list in an answer. path: JMESPath, "" for the whole answer. records: is it one of objects?"""

	path: str
	count: int
	records: bool


@dataclass(frozen=True)
class Key:
	"""One key of records. path: JMESPath in a record. rows: is it a list of objects?"""

	path: str
	sample: Any
	rows: bool = False


def name_path(*names: str) -> str:
	"""Return the JMESPath that leads through names: one that is no plain word is quoted."""
	return ".".join(name if _PLAIN.fullmatch(name) else json.dumps(name) for name in names)


def lists_in(answer: Any) -> list[Place]:
	"""Return the lists of an answer, those of objects first, longer ones first, and then the less deep."""
	found = sorted(_lists(answer, ()), key=lambda one: (not one[1].records, -one[1].count, one[0]))
	return [place for _, place in found]


def _lists(value: Any, names: tuple[str, ...]) -> Iterator[tuple[int, Place]]:
	if isinstance(value, list):
		records = all(isinstance(item, dict) for item in value)
		yield len(names), Place(name_path(*names), len(value), records and bool(value))
	elif isinstance(value, dict) and len(names) < _LEVELS:
		for name, inner in list(value.items())[:_MOST_KEYS]:
			yield from _lists(inner, (*names, str(name)))


def keys_in(records: Sequence[Mapping[str, Any]]) -> list[Key]:
	"""Return the keys that records have, each with the first value that one of them has there; rows' keys, too.

	The path of a row's key is `rows[0].key`, written so that it can be tried; a mapping row of a table names it alone.
	"""
	found: dict[tuple[str, ...], Key] = {}
	for record in records[:_LOOKED_AT]:
		for names, value in _leaves(record, ()):
			known = found.get(names)
			if known is None or (known.sample in (None, "", []) and value not in (None, "", [])):
				found[names] = Key(name_path(*names), value, _is_rows(value))
			if len(found) >= _MOST_KEYS:
				break
	return list(found.values())


def _leaves(value: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
	for name, inner in value.items():
		path = (*names, str(name))
		if isinstance(inner, dict) and inner and len(path) < _DEEP:
			yield from _leaves(inner, path)
		else:
			yield path, inner


def _is_rows(value: Any) -> bool:
	return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


# Names under which answers give the next page, in lower case without punctuation, and the usual parameter for each.
_NEXT = ("next", "nexturl", "nextpageurl", "nextlink", "nextpagelink", "odatanextlink", "nexthref", "href")
_CURSORS = {
	"nextcursor": "cursor",
	"cursornext": "cursor",
	"endcursor": "after",
	"nextpagetoken": "page_token",
	"nexttoken": "next_token",
	"continuationtoken": "continuation_token",
	"continuation": "continuation",
	"scrollid": "scroll_id",
	"after": "after",
	"cursor": "cursor",
	"next": "cursor",
}
_MORE = ("hasmore", "hasnext", "hasnextpage", "morerecords", "more", "ismore", "hasmoreitems")
_PAGES = ("page", "currentpage", "pagenumber", "pageno", "totalpages", "lastpage", "pagecount", "pages")
_OFFSETS = {
	"offset": "offset",
	"skip": "skip",
	"startat": "startAt",
	"startindex": "startIndex",
	"start": "start",
}
Settings = dict[str, str]


def pagination_in(answer: Any, headers: Mapping[str, str], url: str) -> Settings:
	"""Return the settings of the pagination that an answer shows, {} where it shows none.

	Link header, next URL, cursor, page by page, offset: the first that is found.
	"""
	if _links_on(headers.get("Link", ""), url):
		return {"pagination": "Link Header"}
	envelope = list(_envelope(answer, ()))
	more = next((p for p, n, v in envelope if n in _MORE and isinstance(v, bool)), "")
	return (
		_next_url(envelope)
		or _cursor(envelope, more)
		or _offset(envelope, more)
		or _pages(envelope, more)
		or ({"pagination": "Page Number", "more_path": more} if more else {})
	)


def _links_on(header: str, url: str) -> bool:
	try:
		return bool(header) and next_link(header, url) is not None
	except ValueError:
		return False


def _envelope(value: Any, names: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
	"""Give what stands beside the records, as (path, plain name, value): no list is looked into."""
	if not isinstance(value, dict) or len(names) >= _DEEP:
		return
	for name, inner in list(value.items())[:_MOST_KEYS]:
		path = (*names, str(name))
		if isinstance(inner, dict):
			yield from _envelope(inner, path)
		elif not isinstance(inner, list):
			yield name_path(*path), _bare(path), inner


def _bare(path: Sequence[str]) -> str:
	"""Return the last name in lower case, without punctuation; of `{"next": {"href": …}}` the one that says something."""
	bare = re.sub(r"[\W_]", "", path[-1]).lower()
	if bare in ("href", "url") and len(path) > 1:
		return "next" if re.sub(r"[\W_]", "", path[-2]).lower() == "next" else ""
	return bare


def _is_url(value: Any) -> bool:
	return isinstance(value, str) and value.startswith(("http://", "https://", "/", "?"))


def _next_url(envelope: Iterable[tuple[str, str, Any]]) -> Settings:
	for path, name, value in envelope:
		if name in _NEXT and _is_url(value):
			return {"pagination": "Next Link", "cursor_path": path}
	return {}


def _cursor(envelope: list[tuple[str, str, Any]], more: str) -> Settings:
	for wanted, param in _CURSORS.items():
		for path, name, value in envelope:
			if name == wanted and value and isinstance(value, str) and not _is_url(value):
				said = {"more_path": more} if more else {}
				return {"pagination": "Cursor", "cursor_path": path, "page_param": param, **said}
	return {}


def _offset(envelope: list[tuple[str, str, Any]], more: str) -> Settings:
	names = {name for _, name, value in envelope if isinstance(value, int)}
	if not (
		names & {"limit", "total", "count", "totalcount", "maxresults", "totalresults", "pagesize", "size"}
	):
		return {}
	for wanted, param in _OFFSETS.items():
		if wanted in names:
			return {"pagination": "Offset", "page_param": param, **({"more_path": more} if more else {})}
	return {}


def _pages(envelope: list[tuple[str, str, Any]], more: str) -> Settings:
	if any(name in _PAGES and isinstance(value, int) for _, name, value in envelope):
		return {"pagination": "Page Number", **({"more_path": more} if more else {})}
	return {}
