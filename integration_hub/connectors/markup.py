"""Plain text of Frappe's messages, which are HTML: what is recorded of a failure is shown as text."""

from __future__ import annotations

import html
import re
from types import TracebackType

# What messages are set with. Anything else between angle brackets is what the message tells of: «<EOF>», an address.
_BLOCKS = [
	"address",
	"article",
	"aside",
	"blockquote",
	"br",
	"caption",
	"center",
	"dd",
	"details",
	"div",
	"dl",
	"dt",
	"fieldset",
	"figcaption",
	"figure",
	"footer",
	"form",
	"h1",
	"h2",
	"h3",
	"h4",
	"h5",
	"h6",
	"header",
	"hr",
	"main",
	"nav",
	"ol",
	"p",
	"pre",
	"section",
	"summary",
	"table",
	"tbody",
	"td",
	"tfoot",
	"th",
	"thead",
	"tr",
	"ul",
]
_INLINE = [
	"a",
	"abbr",
	"acronym",
	"b",
	"bdi",
	"bdo",
	"big",
	"button",
	"cite",
	"code",
	"del",
	"dfn",
	"em",
	"font",
	"i",
	"img",
	"input",
	"ins",
	"kbd",
	"label",
	"mark",
	"q",
	"s",
	"samp",
	"small",
	"span",
	"strike",
	"strong",
	"sub",
	"sup",
	"svg",
	"path",
	"time",
	"tt",
	"u",
	"use",
	"var",
	"wbr",
]
_ATTRIBUTES = r"""(?:\s(?:[^<>"']|"[^"]*"|'[^']*')*)?"""
_UNSEEN = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))  # with all that stands in them
_ITEM = re.compile(rf"<li{_ATTRIBUTES}/?>", re.IGNORECASE)
_BREAK = re.compile(rf"</?(?:{'|'.join([*_BLOCKS, 'li'])}){_ATTRIBUTES}/?>", re.IGNORECASE)
_TAG = re.compile(rf"</?(?:{'|'.join(_INLINE)}){_ATTRIBUTES}/?>", re.IGNORECASE)
_LONGEST = 100_000  # characters that are looked at; nobody reads more
_READ = "integration_hub_is_plain"  # set on an error whose text is no HTML any more


def plain_text(message: str) -> str:
	"""Return the text of an HTML message as one line: tags go, entities become what they stand for."""
	text = message[:_LONGEST]
	if "<" in text:
		for opening, closing in _UNSEEN:
			text = _cut(text, opening, closing)
		text = _ITEM.sub(" - ", text)
		text = _TAG.sub("", _BREAK.sub(" ", text))
	return " ".join(html.unescape(text).split())


def _cut(text: str, opening: str, closing: str) -> str:
	"""Return a text without what stands between two marks, in upper or lower case; what is not closed stays."""
	folded, kept, at = text.lower(), [], 0  # as long, for what these marks are made of
	while len(folded) == len(text) and (start := folded.find(opening, at)) >= 0:
		end = folded.find(closing, start)
		if end < 0:
			break
		kept.append(text[at:start])
		at = end + len(closing)
	return " ".join([*kept, text[at:]])


def mark_plain(error: BaseException) -> None:
	"""Note that the text of an error is plain: tags in it are part of the text."""
	setattr(error, _READ, True)


def is_markup(error: object) -> bool:
	"""Tell whether the text of an error is HTML: it is one of Frappe's classes, or was thrown by Frappe's `throw`."""
	if not isinstance(error, BaseException) or getattr(error, _READ, False):
		return False
	return any(_is_frappe(kind.__module__) for kind in type(error).__mro__) or _thrown(error.__traceback__)


def _thrown(trace: TracebackType | None) -> bool:
	while trace and trace.tb_next:
		trace = trace.tb_next
	# `frappe.throw` raises any class that it is given.
	return (
		trace is not None
		and trace.tb_frame.f_code.co_name in ("_raise_exception", "msgprint", "throw")
		and (_is_frappe(trace.tb_frame.f_globals.get("__name__")))
	)


def _is_frappe(module: object) -> bool:
	return isinstance(module, str) and module.partition(".")[0] == "frappe"
