"""Content codings (RFC 9110, 8.4) and charsets of bodies."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from email.message import Message

GZIP, ZLIB, RAW = (
	31,
	15,
	-15,
)  # window bits of zlib: https://docs.python.org/3/library/zlib.html#zlib.decompressobj
_MOST_MEMBERS = 16  # members of a gzip file: each costs a copy of what follows it
# Those that senders use and that stand for text: Python knows others, which do much, or nothing.
_CHARSETS = re.compile(
	r"utf-?8|us-ascii|ascii|utf-?16(le|be)?|latin-?1|iso-?8859-?\d{1,2}|windows-125\d|cp125\d|koi8-[ru]"
	r"|shift_jis|euc-(jp|kr)|gb2312|gbk|gb18030|big5"
)


class UnsupportedMedia(ValueError):
	"""The body is in none of the forms that are read. The text is a reason word."""


class BadEncoding(ValueError):
	"""The body is not in the form it says it is in. The text is a reason word."""


class BodyTooLarge(ValueError):
	"""The body is larger than its integration takes. The text is a reason word."""


def unpacked(body: bytes, coding: str, most: int) -> bytes:
	"""Return a body as it was before its Content-Encoding; raises the three above.

	most: bytes it may have then. No more than that is unpacked.
	"""
	codings = [name for part in coding.split(",") if (name := part.strip().lower()) not in ("", "identity")]
	if not codings:
		return body
	if codings in (["gzip"], ["x-gzip"]):
		return _gunzip(body, most)
	if codings == ["deflate"]:  # that of HTTP is zlib's; some leave out its head
		is_zlib = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
		return _inflate(body, ZLIB if is_zlib else RAW, most)[0]
	raise UnsupportedMedia("encoding_not_supported")


def _gunzip(body: bytes, most: int) -> bytes:
	whole, rest, members = b"", body, 0
	while rest or not members:
		members += 1
		if members > _MOST_MEMBERS:
			raise BadEncoding("body_not_unpackable")
		part, rest = _inflate(rest, GZIP, most - len(whole))
		whole += part
		rest = rest.lstrip(b"\x00")  # which may pad a member
	return whole


def _inflate(body: bytes, kind: int, most: int) -> tuple[bytes, bytes]:
	"""Return what was packed, and what follows it."""
	packed = zlib.decompressobj(kind)
	try:
		part = packed.decompress(body, most + 1)
	except zlib.error:
		raise BadEncoding("body_not_unpackable") from None
	if len(part) > most:
		raise BodyTooLarge("body_too_large")
	if not packed.eof:
		raise BadEncoding("body_not_unpackable")
	return part, packed.unused_data


def charset_of(headers: Mapping[str, str]) -> str:
	"""Return the charset that a Content-Type names, utf-8 if it names none; raises UnsupportedMedia."""
	given = headers.get("content-type", "")
	if "charset" not in given.lower():
		return "utf-8"
	message = Message()
	message["content-type"] = re.sub(r"[\r\n]", " ", given)
	return checked_charset(str(message.get_param("charset", "utf-8")))


def checked_charset(name: str) -> str:
	"""Return the name of a charset that senders use, in lower case; raises UnsupportedMedia for another one."""
	name = name.strip().lower()
	if not _CHARSETS.fullmatch(name):
		raise UnsupportedMedia("charset_not_supported")
	return name


def decoded(body: bytes, charset: str) -> str:
	"""Return the text a body is, without a byte order mark before it; raises BadEncoding."""
	try:
		return body.decode(charset).removeprefix("\ufeff")
	except (UnicodeError, LookupError):
		is_utf8 = charset.replace("-", "") == "utf8"
		raise BadEncoding("body_not_utf8" if is_utf8 else "body_not_in_its_charset") from None
