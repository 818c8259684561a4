"""Forms with parts (multipart/form-data, RFC 7578): fields as they are, of files what tells them apart."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from email.message import Message
from io import BytesIO
from typing import Any

from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser

MULTIPART = "multipart/form-data"
_MOST_PARTS = 1000


class BadMultipart(ValueError):
	"""The body is no form with parts. The text is a reason word."""


def read_multipart(body: bytes, headers: Mapping[str, str], keep_files: bool) -> list[tuple[str, Any]]:
	"""Return names and values of the parts, in order of fields and then files; raises BadMultipart.

	A file is an object of filename, content_type, size and sha256; with keep_files also of content, in Base64.
	"""
	message = Message()
	message["content-type"] = headers.get("content-type", "").replace("\r", " ").replace("\n", " ")
	boundary = str(message.get_param("boundary", ""))
	# In memory, as the body is: a file on disk would outlive a process that is killed.
	parser = FormDataParser(
		lambda *_given, **_more: BytesIO(),
		max_form_memory_size=len(body) + 1,
		max_form_parts=_MOST_PARTS,
		silent=False,
	)
	try:
		_stream, form, files = parser.parse(BytesIO(body), MULTIPART, len(body), {"boundary": boundary})
	except (ValueError, LookupError, HTTPException):
		raise BadMultipart("body_not_a_form") from None
	fields = [*form.items(multi=True), *_read_files(files.items(multi=True), keep_files)]
	if not fields:
		raise BadMultipart("body_not_a_form")
	return fields


def _read_files(files: Iterator[tuple[str, FileStorage]], keep: bool) -> Iterator[tuple[str, Any]]:
	for name, file in files:
		yield name, _read_file(file, file.read(), keep)


def _read_file(file: FileStorage, content: bytes, keep: bool) -> dict[str, Any]:
	found = {"filename": file.filename or "", "content_type": file.mimetype, "size": len(content)}
	found["sha256"] = hashlib.sha256(content).hexdigest()
	return {**found, "content": b64encode(content).decode()} if keep else found
