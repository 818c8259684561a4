"""Signs in an answer that its list goes on behind it, or ends: in the envelope around the records, and in headers.

They are looked for once a page, by name, in the upper levels of the envelope; never in the records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from integration_hub.connectors.link_header import links, next_link
from integration_hub.connectors.records_path import spine
from integration_hub.connectors.responses import refuses

_FALSE = frozenset({"", "0", "n", "no", "false", "off", "null", "none"})
_WORDS = {
	"true": True,
	"yes": True,
	"y": True,
	"false": False,
	"no": False,
	"n": False,
	"0": False,
	"1": True,
}

_NOWHERE = frozenset({"", "0", "-1", "null", "none", "false"})  # a cursor may be "no": the key of Norway

_LEVELS = 3  # levels of objects beside the way to the records
_KEYS = 200  # looked at in each object
_RESULTS = "page|pages|items|results|records|data|rows|entries|elements|hits|objects|documents"
_MORE = re.compile(
	rf"(?:has|is|microsoftdynamicscrm)?(?:more|next)(?:{_RESULTS}|available)?(?:incollection)?"
	r"|(?:is)?truncated|incompleteresults|exceededtransferlimit"
)
# Where it is true, something is missing; where it is false, it says nothing about what follows.
_CUT = re.compile(
	r"timedout|terminatedearly|(?:is)?partial(?:results?|content|response)?|(?:\w*limit)?(?:reached|exceeded)"
)
_LAST = re.compile(
	r"(?:is)?(?:last|lastpage|end|endofstream|endoflist|done|complete|finished|exhausted|eof|nomore)"
)
_NEXT = re.compile(
	r"(?:odata|pagination)?next(?:page|records?|results?|set|batch|chunk|continuation)*(?:pageid"
	r"|ur[li]|link|href|path|cursor|token|marker|offset|start|key|number|index|query|anchor)?"
	r"|(?:ms)?continuation(?:token)?|continue|cursornext|lastevaluatedkey"
)
_COUNTED = "count|items|results|records|rows|elements|entries|hits|objects|documents|size|number|available"
_TOTAL = re.compile(
	rf"(?:wp|pagination|paging|list|items?|results?|records?|rows?)?totals?(?:{_COUNTED})?(?:count)?"
	r"|odatacount|numfound|nbhits|countall|found"
)
# How many pass the filter of the request: then a total beside it is of the whole collection (Directus, DataTables).
_FILTERED = re.compile(rf"filter(?:ed)?(?:{_COUNTED})?(?:count)?|(?:{_COUNTED})filtered")
_COUNT = re.compile(r"count|length|(?:items?|records?|results?|rows?|objects?)count")  # the page's own, maybe
# Lead on in some systems, and stand there to the end in others: they count where nothing else says anything.
_WEAK = re.compile(r"cursor|bookmark")
_REMAINING = re.compile(rf"remaining(?:{_COUNTED}|item|record)?(?:count)?|(?:{_COUNTED})remaining")
_PAGES = re.compile(
	r"(?:wp|pagination|paging)?(?:totalpages?|totalpagecount|pagecount|pagestotal)|(?:num|nb|numberof)pages"
	r"|lastpage|maxpage|pages"
)
_ENVELOPE = re.compile(
	r"_*(?:result|response|search|list|odata|x)*(?:meta|metadata|pages?|paging|pagination|paginator|links?|cursors?|info"
	r"|list|result|results|response|search|hits)(?:info|meta|metadata|data|details|links|set|cursors?)?"
)
# In an object that may be of something else, only a name that can mean nothing else counts.
_CLEAR = re.compile(r"has(?:more|next).*|(?:odata)?next.*(?:token|cursor|link|ur[li])")
_PATTERNS = {
	"more": _MORE,
	"cut": _CUT,
	"filtered": _FILTERED,
	"weak": _WEAK,
	"remaining": _REMAINING,
	"last": _LAST,
	"next": _NEXT,
	"total": _TOTAL,
	"count": _COUNT,
	"pages": _PAGES,
	"envelope": _ENVELOPE,
	"clear": _CLEAR,
}
# PostgREST leaves the unit out.
_RANGE = re.compile(r"\s*(?:(?!bytes)[\w-]+\s+)?(?:\d+-\d+|\*)/(\d{1,15})\s*", re.IGNORECASE)
# A comma, a point, an apostrophe, a low line or a blank between groups; the same one throughout; and no cents.
_GROUPED = re.compile(r"(\d+|\d{1,3}([,.'\u2019_ \u00a0\u202f])\d{3}(?:\2\d{3})*)(?:[.,]0{1,2})?", re.ASCII)
_SIBLINGS = frozenset({"first", "last", "prev", "previous"})  # relations of a list in pages, besides next


@dataclass
class Signs:
	"""Signs in an answer about its list, each with the name of the key or header; "" where there is none.

	more: that there is more. next: where it is; as a URL (link), in a header (header). ends: that nothing follows.
	weak: maybe that there is more.
	total, pages: how many records and pages the list has. count: the same as total, or the page's own number.
	filtered: is total the number of those that pass the filter of the request?
	fault: does it say, beside its records, that it failed?
	"""

	more: str = ""
	next: str = ""
	link: bool = False
	header: bool = False
	weak: str = ""
	ends: str = ""
	fault: bool = False
	total: int | None = None
	total_at: str = ""
	filtered: bool = False
	count: int | None = None
	count_at: str = ""
	pages: int | None = None
	pages_at: str = ""


def read_signs(answer: Any, headers: Mapping[str, str], url: str = "", records_path: str = "") -> Signs:
	"""Return the signs in an answer whose records are at `records_path`."""
	signs, way = Signs(), spine(records_path)
	noun = _plain(way[-1]) if way else ""
	if isinstance(answer, list) and records_path:  # the envelope stands beside the records, as an element
		for element in answer[:_LEVELS]:
			_read_object(signs, element, "", (), True, _LEVELS, noun)
	_read_object(signs, answer, "", way, True, _LEVELS, noun)
	signs.fault = refuses(answer)
	for name, value in headers.items():
		_read_header(signs, name, value, url)
	return signs


def says_yes(value: Any) -> bool:
	"""Tell whether a value of a source means yes: not where it is false, zero, empty, or a word for no."""
	if isinstance(value, str):
		return value.strip().lower() not in _FALSE
	return bool(value)


def _read_object(
	signs: Signs, found: Any, prefix: str, way: tuple[str, ...], near: bool, levels: int, noun: str
) -> None:
	"""Read an object of the envelope. near: does it stand around the records, or is it named as one that tells of them?"""
	if not isinstance(found, dict) or not (near or way or not _holds_list(found)):
		return
	for key, value in islice(found.items(), _KEYS):
		name, names = _plain(key), f"{prefix}{_spelled(key)}"
		if way and key == way[0]:
			if len(way) > 1:
				_read_object(signs, value, f"{names}.", way[1:], near, levels, noun)
			elif not isinstance(value, dict | list):
				_read_name(signs, name, names, value, near, noun)
			continue
		_read_name(signs, name, names, value, near, noun)
		if levels > 1:
			about = "envelope" in _kinds(name) and (near or name.startswith("pagi"))
			_read_object(signs, value, f"{names}.", (), about, levels - 1, noun)


def _read_name(signs: Signs, name: str, names: str, value: Any, near: bool, noun: str) -> None:
	kinds = _kinds(name)
	if name == "shards":
		_read_shards(signs, names, value)
	if not (kinds or noun in name) or (not near and "clear" not in kinds):
		return
	if isinstance(value, list):
		if name in ("link", "links") and _has_next(value):
			signs.next, signs.link = signs.next or names, True
		return
	if _read_flag(signs, name, names, value):
		return
	if "next" in kinds:
		_read_next(signs, names, value)
	if "weak" in kinds and isinstance(value, str) and points(value):
		signs.weak = signs.weak or names
	number = _whole(value)
	if number is not None:
		_read_number(signs, name, names, number, noun)


def _read_shards(signs: Signs, names: str, value: Any) -> None:
	"""Read how many parts of an index failed to answer (Elasticsearch, OpenSearch)."""
	if isinstance(value, dict) and _whole(value.get("failed")):
		signs.more = signs.more or f"{names}.failed"


def _read_number(signs: Signs, name: str, names: str, number: int, noun: str) -> None:
	kinds = _kinds(name)
	if "filtered" in kinds:
		signs.total, signs.total_at, signs.filtered = number, names, True
	elif "total" in kinds or (noun and name in (f"total{noun}", f"{noun}total")):
		if not signs.filtered and (signs.total is None or number > signs.total):
			signs.total, signs.total_at = number, names
	elif "remaining" in kinds:
		signs.weak = signs.weak or (names if number else "")
	elif "count" in kinds or (noun and name == f"{noun}count"):
		if signs.count is None or number > signs.count:
			signs.count, signs.count_at = number, names
	elif "pages" in kinds:
		signs.pages, signs.pages_at = number, names


def _read_flag(signs: Signs, name: str, names: str, value: Any) -> bool:
	"""Read a name that says yes or no; tell whether it was one."""
	said = _word(value)
	if "cut" in _kinds(name):
		signs.more = signs.more or (names if said else "")
		return True
	if "more" in _kinds(name) and not isinstance(value, dict):
		if said is None and name.startswith("next"):
			return False
		if value is None or (isinstance(value, str) and "://" in value and "?" not in value):
			return True  # more to read, but not of the list
		_note(signs, names, says_yes(value) if said is None else said)
		return True
	if said is not None and "last" in _kinds(name) and value not in ("0", "1"):
		_note(signs, names, not said)
		return True
	return False


def _note(signs: Signs, names: str, more: bool) -> None:
	if more:
		signs.more = signs.more or names
	else:
		signs.ends = signs.ends or names


def _read_next(signs: Signs, names: str, value: Any, header: bool = False) -> None:
	if not points(value):
		signs.ends = signs.ends or names
	elif not signs.next:
		if isinstance(value, dict):  # _links.next.href, paging.next.after
			key, value = next(((k, v) for k, v in value.items() if isinstance(v, str)), ("", ""))
			names = f"{names}.{_spelled(key)}" if key else names
		link = isinstance(value, str) and ("/" in value or "?" in value)
		signs.next, signs.link, signs.header = names, link, header


def _read_header(signs: Signs, name: str, value: str, url: str) -> None:
	plain = _plain(name).removeprefix("x")
	if not _kinds(plain) and plain not in ("contentrange", "pagination"):
		return
	if plain == "link":
		_read_link(signs, value, url)
	elif plain == "contentrange":
		if found := _RANGE.fullmatch(value):
			signs.total, signs.total_at = int(found[1]), name
	elif plain == "pagination" and value.lstrip().startswith("{"):
		try:
			_read_object(signs, json.loads(value), f"{name}.", (), True, 1, "")
		except (ValueError, RecursionError):
			return
	elif "more" in _kinds(plain) and _word(value) is not None:
		_note(signs, name, bool(_word(value)))
	elif "next" in _kinds(plain):
		_read_next(signs, name, value.strip(), header=True)
	elif (number := _whole(value)) is not None:
		if "total" in _kinds(plain):
			signs.total, signs.total_at = number, name
		elif "count" in _kinds(plain):
			signs.count, signs.count_at = number, name
		elif "pages" in _kinds(plain):
			signs.pages, signs.pages_at = number, name


def _read_link(signs: Signs, value: str, url: str) -> None:
	try:
		if next_link(value, url) is not None:
			signs.next, signs.link, signs.header = "Link", True, True
		elif any(_SIBLINGS & set(link.relations) for link in links(value)):
			signs.ends = signs.ends or "Link"
	except ValueError:
		if "next" in value.lower():
			signs.more = signs.more or "Link"


@lru_cache(maxsize=4096)
def _kinds(name: str) -> frozenset[str]:
	"""Return what a name may say, by the patterns it fits: the same few names come with each page."""
	return frozenset(kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(name))


def _spelled(key: str) -> str:
	"""Return a key as a JMESPath has it."""
	return key if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else json.dumps(key[:80])


@lru_cache(maxsize=2048)
def _plain(name: str) -> str:
	"""Return a name as it is compared: has_more, hasMore and Has-More are one."""
	return re.sub(r"[^a-z0-9]", "", name.lower())[:80]


def _word(value: Any) -> bool | None:
	"""Return what a value that can only mean yes or no says, None for others."""
	if isinstance(value, bool):
		return value
	return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def points(value: Any) -> bool:
	"""Tell whether what should lead to a next page leads anywhere."""
	if isinstance(value, dict):
		return any(points(part) for part in value.values())
	if isinstance(value, int | float) and not isinstance(value, bool):
		return value > 0
	return value.strip().lower() not in _NOWHERE if isinstance(value, str) else bool(value)


def _holds_list(found: dict) -> bool:
	"""Tell whether an object holds a list of objects, so that what it says is said of that one."""
	return any(isinstance(value, list) and value and isinstance(value[0], dict) for value in found.values())


def _has_next(found: list) -> bool:
	"""Tell whether a list of links has one with relation next (FHIR, Oracle, JSON Hyper-Schema)."""
	items = (item for item in found[:_KEYS] if isinstance(item, dict))
	said = (str(item.get("rel") or item.get("relation") or "").lower().split() for item in items)
	return any("next" in relations for relations in said)


def _number(text: str) -> int | None:
	"""Return the number that digits stand for, in groups of three or not: 1234, 1,234, 1.234, 1'234, 1 234."""
	if len(text) > 20 or not (found := _GROUPED.fullmatch(text)):
		return None
	digits = re.sub(r"\D", "", found[1])
	return int(digits) if len(digits) <= 15 else None


def _whole(value: Any) -> int | None:
	"""Return a number of things, None where it is none."""
	if isinstance(value, dict):
		value = value.get("value")  # as Elasticsearch says it
	if isinstance(value, str):
		value = _number(value.strip())
	if isinstance(value, float) and value.is_integer():
		value = int(value)
	return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
