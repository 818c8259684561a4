"""Link headers, read as RFC 8288 describes them (appendix B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin

_REST = re.compile(r"[\s,]*$")  # nothing but what may stand between links
_END = re.compile(r"\s*(?:,|$)")
_TARGET = re.compile(r"[\s,]*<([^>]*)>")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# A parameter: a name, and a token or a quoted string, in which a backslash stands before what is meant as it is.
_PARAMETER = re.compile(
	r"""\s*;\s*(?:(?P<name>[^\s=;,"<>]+)\s*(?:=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;,"]*)))?)?""",
	re.DOTALL,
)


@dataclass(frozen=True)
class Link:
	"""One link: its target as it was sent, the kinds of its relation in lower case, and the page it is of, if said."""

	target: str
	relations: tuple[str, ...]
	anchor: str | None = None


def links(header: str) -> Iterator[Link]:
	"""Return the links of a header, several headers joined by commas. Raises ValueError where it is none."""
	place = 0
	while not _REST.match(header, place):
		target = _TARGET.match(header, place)
		if not target:
			raise ValueError("The Link header cannot be read.")
		place, given = target.end(), {}
		while found := _PARAMETER.match(header, place):
			place = found.end()
			name, quoted = (found["name"] or "").lower(), found["quoted"]
			value = (found["token"] or "") if quoted is None else _ESCAPED.sub(r"\1", quoted)
			given.setdefault(name, value)  # of a parameter that comes twice the first counts (RFC 8288, 3.3)
		if not _END.match(header, place):
			raise ValueError("The Link header cannot be read.")
		relations = tuple(given.get("rel", "").strip("'").lower().split())  # some quote it so
		yield Link(target[1].strip(), relations, given.get("anchor"))


def next_link(header: str, url: str) -> str | None:
	"""Return the target of the link with relation `next` of the page at `url`, None if there is none.

	A link whose anchor is another page is a link of that one (RFC 8288, 3.2). Raises ValueError where the header
	cannot be read.
	"""
	for link in links(header):
		if "next" in link.relations and _is_of(link, url):
			return link.target
	return None


def _is_of(link: Link, url: str) -> bool:
	return link.anchor is None or urldefrag(urljoin(url, link.anchor))[0] == urldefrag(url)[0]
