"""Readers of an answer: its text, its JSON and, where something else came, the words a person needs."""

from __future__ import annotations

import codecs
import html
import json
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any

import requests

from integration_hub.connectors.json_text import read_json

_SHOWN = 200
_SHOWN_KEYS = 12
_LOOKED_AT = 64 * 1024
_DEPTH = 4
_TITLE = re.compile(r"<title[^>]{0,200}>(.{0,2000}?)</title", re.IGNORECASE | re.DOTALL)
_HTML = re.compile(
	r"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
	re.IGNORECASE | re.DOTALL,
)
_RATE_LIMIT = re.compile(
	r"secondary rate limit|rate ?limit ?(?:is |was )?(?:exceeded|reached)|exceeded[^.]{0,60}rate ?limit|too many requests",
	re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
# Not the writing of a language, and some cost far more than they are long.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})


class NotJSON(ValueError):
	"""An answer is not JSON; the text says what it is instead."""


def charset_of(response: requests.Response) -> str:
	"""Return the charset that the answer declares, "" for none (RFC 9110, 8.3.2)."""
	header = Message()
	header["Content-Type"] = response.headers.get("Content-Type", "")
	declared = header.get_param("charset", "")
	return declared.strip().strip("'").lower() if isinstance(declared, str) else ""


def shown_text(response: requests.Response) -> str:
	"""Return the body as text, for a person: what cannot be read in it is replaced."""
	content = response.content if getattr(response, "_content_consumed", True) else b""
	charset = charset_of(response)
	try:
		return content.decode("utf-8-sig" if not charset or charset in _NO_CHARSETS else charset, "replace")
	except (LookupError, ValueError):
		return content.decode("utf-8", "replace")


def loaded(response: requests.Response) -> Any:
	"""Return the JSON of an answer, None if it is empty.

	Read in the charset that is declared; without one it is UTF-8, or UTF-16 and UTF-32 as JSON itself tells. A byte
	order mark goes before both. Raises Unreadable.
	"""
	content = response.content
	if not content.strip():
		return None
	try:
		return read_json(_decoded(content, charset_of(response)))
	except RecursionError:
		raise NotJSON("It is nested too deeply.") from None
	except ValueError as error:
		page = page_of(response)
		raise NotJSON(f"{page} came instead of JSON." if page else f"Not JSON: {error}") from None


def _decoded(content: bytes, charset: str) -> str | bytes:
	if not charset or json.detect_encoding(content) != "utf-8":  # marked, or not made of single bytes
		return content
	try:
		if codecs.lookup(charset).name.replace("-", "_") in _NO_CHARSETS:
			raise LookupError
		return content.decode(charset)
	except UnicodeDecodeError:
		raise
	except (LookupError, ValueError):
		raise ValueError(f"its charset {charset[:40]!r} is not known") from None


def page_of(response: requests.Response) -> str:
	"""Return `An HTML page titled …` where that came, "" where it did not."""
	text = shown_text(response)[:_LOOKED_AT].lstrip("\ufeff")
	if not _HTML.match(text) and "html" not in response.headers.get("Content-Type", "").lower():
		return ""
	title = _TITLE.search(text)
	words = _plain(html.unescape(title[1]))[:_SHOWN] if title else ""
	return f"An HTML page titled “{words}”" if words else "An HTML page without a title"


def rate_limited(response: requests.Response) -> bool:
	"""Tell whether a refusal says of itself that it is a rate limit (GitHub, Google)."""
	return bool(_RATE_LIMIT.search(shown_text(response)[:_LOOKED_AT]))


def complaint_of(response: requests.Response) -> str:
	"""Return what a refusal says for a person; "" for a success, or where nothing can be found."""
	failed = response.status_code >= 300
	if page := page_of(response):
		return f"{page}." if failed else ""
	try:
		answer = loaded(response)
	except ValueError:
		return ""
	return complaint(answer) if failed or refuses(answer) else ""


# Where systems put their words for a person, the first ones first.
_WORDS = (
	"error",
	"errordescription",
	"errors",
	"message",
	"errormessage",
	"errormessages",
	"errorsummary",
	"errormsg",
	"errmsg",
	"msg",
	"detail",
	"details",
	"title",
	"description",
	"reason",
	"fault",
	"faultstring",
	"exception",
)


def complaint(answer: Any) -> str:
	"""Return the words of an error in whatever shape, in short; "" where there are none."""
	parts: list[str] = []
	for part in _said(answer, _DEPTH):
		if not any(part in other for other in parts):
			parts.append(part)
	text = ": ".join(parts[:3])
	return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _said(answer: Any, depth: int, inside: bool = False) -> Iterator[str]:
	"""Yield the texts that name an error. inside: an error's own value, where each text counts, whatever its name."""
	if isinstance(answer, str) and answer.strip():
		yield _plain(answer[: 10 * _SHOWN])
	elif depth and isinstance(answer, list):
		for item in answer[:3]:
			yield from _said(item, depth - 1, inside=True)
	elif depth and isinstance(answer, dict):
		named = _plain_names(answer)
		found = [name for name in _WORDS if named.get(name)]
		for name in found:
			yield from _said(named[name], depth - 1, inside=True)
		if inside and not found:
			for name, value in list(answer.items())[:3]:
				for text in _said(value, depth - 1, inside=True):
					yield f"{_plain(str(name)[:40])}: {text}"


def _plain(text: str) -> str:
	"""Return text from outside on one line, without characters that move a cursor or turn the writing round."""
	return " ".join(_CONTROL.sub(" ", text).split())


def refuses(answer: Any) -> bool:
	"""Tell whether an answer says outright that the request failed, whatever its status is.

	`{"ok": false}`, `{"status": "error"}`, `{"error": …}`, `{"errors": […]}` (GraphQL); not `{"error": null}`.
	"""
	if not isinstance(answer, dict):
		return False
	named = _plain_names(answer)
	return (
		any(name in named and _is_no(named[name]) for name in ("ok", "success", "successful", "issuccess"))
		or any(str(named.get(name, "")).lower() in _FAILED for name in ("status", "stat", "result", "state"))
		or any(
			_is_something(named.get(name)) for name in ("error", "errors", "errorcode", "errcode", "fault")
		)
		or any(
			_is_failure(named.get(name)) for name in ("code", "status", "statuscode", "httpstatus", "retcode")
		)
	)


_FAILED = frozenset({"error", "fail", "failed", "failure"})
_NO = frozenset({"false", "no", "0"})
_NOTHING = _NO | {"", "none", "null", "ok", "success"}


def _is_no(value: Any) -> bool:
	return value is False or (isinstance(value, int | str) and str(value).strip().lower() in _NO)


def _is_failure(value: Any) -> bool:
	"""Tell whether a code is one of HTTP that means failure, or such a one with two digits of the system's own."""
	text = str(value) if isinstance(value, int | str) else ""
	return bool(re.fullmatch(r"[45]\d\d(?:\d\d)?", text, re.ASCII))


def _is_something(value: Any) -> bool:
	return value.strip().lower() not in _NOTHING if isinstance(value, str) else bool(value)


def shape(answer: Any, subject: str = "the response") -> str:
	"""Return in a few words what an answer, or a part of it, is: the keys that are there, else its type."""
	if isinstance(answer, dict):
		keys = [_plain(str(key)[:40]) for key in list(answer)[:_SHOWN_KEYS]]
		more = ", …" if len(answer) > _SHOWN_KEYS else ""
		return f"{subject} has the keys {', '.join(keys)}{more}" if keys else f"{subject} is an empty object"
	if isinstance(answer, list):
		return f"{subject} is a list of {len(answer)}"
	if answer is None:
		return f"{subject} is empty"
	kind = {str: "a text", bool: "true or false"}.get(type(answer), "a number")
	return f"{subject} is {kind}"


def _plain_names(answer: dict[Any, Any]) -> dict[str, Any]:
	return {re.sub(r"[\W_]", "", str(name)[:40]).lower(): value for name, value in answer.items()}
