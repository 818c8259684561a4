"""Responses that are no plain JSON: JSON Lines, CSV, XML, gzip and zip, from servers that write them with Python's own."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import threading
import tracemalloc
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors import errors
from integration_hub.connectors.bodies import PART
from integration_hub.connectors.completeness import Proof
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.registry import connector_for
from integration_hub.connectors.response_format import ResponseFormat, format_problems
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream
from tests.test_connectors import FAST, LOCAL, Memory

ROWS = [
	{"id": "1", "name": "Ada, Lady"},
	{"id": "2", "name": 'Grace "G" Ö'},
	{"id": "3", "name": "Lin\nbreak"},
]


class Bodies(BaseHTTPRequestHandler):
	"""Answers with what the test has put there, by page."""

	protocol_version = "HTTP/1.1"
	bodies: list[bytes] = []
	headers_sent: dict[str, str] = {}
	framing = "length"
	asked: list[str] = []

	def do_GET(self):
		query = parse_qs(urlsplit(self.path).query)
		type(self).asked.append(self.path)
		number = int(query.get("page", ["1"])[0]) - 1
		body = self.bodies[min(number, len(self.bodies) - 1)]
		self.send_response(200)
		for name, value in self.headers_sent.items():
			self.send_header(name, value)
		if self.framing == "length":
			self.send_header("Content-Length", str(len(body)))
		elif self.framing == "chunked":
			self.send_header("Transfer-Encoding", "chunked")
			body = b"".join(
				b"%x\r\n%s\r\n" % (len(body[at : at + 1000]), body[at : at + 1000])
				for at in range(0, len(body), 1000)
			)
			body += b"0\r\n\r\n"
		else:
			self.send_header("Connection", "close")
			self.close_connection = True
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *_):
		pass


@pytest.fixture(scope="module")
def url():
	server = ThreadingHTTPServer(("127.0.0.1", 0), Bodies)
	server.daemon_threads = True
	threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
	yield f"http://127.0.0.1:{server.server_port}"
	server.shutdown()


@pytest.fixture(autouse=True)
def serve(url):
	def put(*bodies: bytes, framing: str = "length", **headers: str) -> None:
		Bodies.bodies, Bodies.framing = list(bodies), framing
		Bodies.headers_sent = {name.replace("_", "-"): value for name, value in headers.items()}
		Bodies.asked = []

	return put


def asked(kind: str, path: str = "", pagination: str = "None", state: str = "", **options) -> ListRequest:
	usual = {
		"page_size": 7,
		"page_size_param": "limit",
		"page_param": "page",
		"more_path": "",
		"cursor_path": "",
	}
	response = {"kind": kind, "compression": "", "charset": "", "delimiter": "", "columns": "", **options}
	assert list(format_problems(ResponseFormat.read(response), path)) == []
	paging = {"kind": pagination, **usual}
	return ListRequest("rows", records_path=path, response=response, pagination=paging, state=state)


def read(url: str, request: ListRequest, **settings):
	"""Return the records of a list, and why it is not known to be complete."""
	config = IntegrationConfig("x", base_url=url, **{**FAST, "max_attempts": 1, **settings})
	proof, records = Proof(), []
	with connector_for(config, Memory(), LocalCoordination(), {}, LOCAL) as hub:
		for page in hub.pages(request):
			proof.see(page)
			records += page.records
	return records, proof.doubt


def as_csv(rows, delimiter=",", end="\r\n", header=True) -> str:
	text = io.StringIO()
	writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator=end)
	if header:
		writer.writeheader()
	writer.writerows(rows)
	return text.getvalue()


def as_lines(rows) -> str:
	return "".join(json.dumps(row) + "\n" for row in rows)


def as_xml(rows, total=0, head='<?xml version="1.0" encoding="UTF-8"?>') -> str:
	inner = "".join(
		f'<Row key="{row["id"]}"><id>{row["id"]}</id><name>{escape(row["name"])}</name></Row>' for row in rows
	)
	return f'{head}<Answer xmlns="urn:x"><Total>{total or len(rows)}</Total><Rows>{inner}</Rows></Answer>'


def as_zip(*files: str) -> bytes:
	made = io.BytesIO()
	with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
		archive.writestr("folder/", "")
		for number, text in enumerate(files):
			archive.writestr(f"folder/{number}.txt", text)
	return made.getvalue()


WITH_KEY = [{"@key": row["id"], **row} for row in ROWS]


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("transfer", ["", "gzip"])
@pytest.mark.parametrize(
	("kind", "text", "path", "options", "rows"),
	[
		("JSON Lines", as_lines(ROWS), "", {}, ROWS),
		("JSON Lines", as_lines(ROWS).replace("\n", "\n\n"), "", {}, ROWS),
		("JSON Lines", as_lines(ROWS).rstrip("\n"), "", {}, ROWS),
		("CSV", as_csv(ROWS), "", {}, ROWS),
		("CSV", "\ufeff" + as_csv(ROWS, end="\n"), "", {}, ROWS),
		("CSV", as_csv(ROWS, ";"), "", {"delimiter": ";"}, ROWS),
		("CSV", as_csv(ROWS, "\t"), "", {"delimiter": "tab"}, ROWS),
		("CSV", as_csv(ROWS, header=False), "", {"columns": "id, name"}, ROWS),
		("XML", as_xml(ROWS), "Answer.Rows.Row", {}, WITH_KEY),
		("XML", as_xml(ROWS[:1]), "Answer.Rows.Row", {}, WITH_KEY[:1]),
	],
)
def test_records_are_read_from_every_format(url, serve, kind, text, path, options, rows, transfer, framing):
	body = gzip.compress(text.encode()) if transfer else text.encode()
	serve(body, framing=framing, **({"Content_Encoding": "gzip"} if transfer else {}))
	assert read(url, asked(kind, path, **options)) == (rows, None)


@pytest.mark.parametrize("compression", ["Gzip", "Zip"])
@pytest.mark.parametrize(
	("kind", "text", "path"),
	[
		("JSON Lines", as_lines(ROWS), ""),
		("CSV", as_csv(ROWS), ""),
		("XML", as_xml(ROWS), "Answer.Rows.Row"),
		("", json.dumps({"data": ROWS}), "data"),
	],
)
def test_files_are_unpacked(url, serve, kind, text, path, compression):
	rows = WITH_KEY if kind == "XML" else ROWS
	serve(gzip.compress(text.encode()) if compression == "Gzip" else as_zip(text))
	assert read(url, asked(kind, path, compression=compression)) == (rows, None)


def test_gzip_may_have_members_be_the_transfers_too_and_be_said_of_the_wrong_one(url, serve):
	twice = gzip.compress(as_lines(ROWS[:1]).encode()) + gzip.compress(as_lines(ROWS[1:]).encode())
	for body in (twice, gzip.compress(twice)):
		serve(body, Content_Encoding="gzip") if body is not twice else serve(body)
		assert read(url, asked("JSON Lines", compression="Gzip")) == (ROWS, None)
	serve(twice, Content_Encoding="gzip")  # a server that takes the file's own compression for the transfer's
	assert read(url, asked("JSON Lines", compression="Gzip")) == (ROWS, None)


def test_all_files_of_an_archive_are_read(url, serve):
	serve(as_zip(as_csv(ROWS[:2]), as_csv(ROWS[2:])))
	assert read(url, asked("CSV", compression="Zip")) == (ROWS, None)


@pytest.mark.parametrize("charset", ["windows-1252", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("declared", [True, False])
def test_charsets_are_declared_or_set(url, serve, charset, declared):
	headers = {"Content_Type": f"text/csv; charset={charset}"} if declared else {}
	serve(as_csv(ROWS).encode(charset), **headers)
	options = {} if declared else {"charset": charset}
	assert read(url, asked("CSV", **options)) == (ROWS, None)


@pytest.mark.parametrize("kind", ["CSV", "JSON Lines"])
def test_another_charset_is_one_clear_error(url, serve, kind):
	text = as_csv(ROWS) if kind == "CSV" else json.dumps(ROWS[1], ensure_ascii=False)
	serve(text.encode("latin-1"))
	with pytest.raises(errors.MalformedAnswer, match=r"not text in utf-8.*response_charset"):
		read(url, asked(kind))
	serve(text.encode(), Content_Type="text/csv; charset=klingon")
	with pytest.raises(errors.MalformedAnswer, match="klingon"):
		read(url, asked(kind))


# What is cut off is never complete


def cuts(body: bytes) -> list[bytes]:
	return [body[:at] for at in range(1, len(body))]


@pytest.mark.parametrize(
	("kind", "body", "path", "options"),
	[
		("JSON Lines", as_lines(ROWS).encode(), "", {}),
		("CSV", as_csv(ROWS).encode(), "", {}),
		("XML", as_xml(ROWS).encode(), "Answer.Rows.Row", {}),
		("JSON Lines", gzip.compress(as_lines(ROWS).encode()), "", {"compression": "Gzip"}),
		("CSV", as_zip(as_csv(ROWS)), "", {"compression": "Zip"}),
		("", gzip.compress(json.dumps(ROWS).encode()), "", {"compression": "Gzip"}),
	],
	ids=["lines", "csv", "xml", "gzip", "zip", "json-gzip"],
)
def test_a_body_cut_anywhere_is_an_error_or_not_known_to_be_complete(url, serve, kind, body, path, options):
	"""However the transfer ends: with the connection, where nothing says how long it was to be."""
	for cut in cuts(body)[:: 1 if kind == "CSV" else 7]:
		serve(cut, framing="close")
		try:
			records, doubt = read(url, asked(kind, path, **options))
		except errors.ConnectorError:
			continue
		assert doubt, cut
		assert all(record in (*ROWS, *WITH_KEY) for record in records[:-1])


def test_a_line_that_is_cut_off_is_not_complete_though_its_transfer_is_whole(url, serve):
	for text, kind in ((as_csv(ROWS[:2]), "CSV"), (as_lines(ROWS), "JSON Lines")):
		for cut in cuts(text.encode()):
			if cut.endswith((b"\n", b"}")) or (kind == "CSV" and cut.endswith(b"\r")):
				continue  # whole lines, of which nobody knows that others followed
			serve(cut)
			try:
				assert read(url, asked(kind))[1], cut
			except errors.MalformedAnswer:
				continue


def test_a_transfer_cut_short_of_its_length_is_an_error(url, serve):
	serve(as_lines(ROWS).encode(), Content_Length="10000")
	Bodies.framing = "close"
	with pytest.raises(errors.ConnectorError):
		read(url, asked("JSON Lines"))


def test_half_a_gzip_of_a_transfer_is_an_error(url, serve):
	whole = gzip.compress(as_lines(ROWS).encode())
	for cut in (whole[:-1], whole[:-8], whole[: len(whole) // 2], whole[:-4] + b"\0\0\0\1"):
		serve(cut, Content_Encoding="gzip")
		with pytest.raises(errors.MalformedAnswer, match="gzip is damaged or cut off"):
			read(url, asked("JSON Lines"))


# What does harm


@pytest.mark.parametrize("transfer", [True, False])
def test_a_bomb_is_refused_by_the_limit(url, serve, transfer):
	bomb = gzip.compress(b'{"id": 1}\n' * 3_000_000)
	serve(bomb, **({"Content_Encoding": "gzip"} if transfer else {}))
	options = {} if transfer else {"compression": "Gzip"}
	with pytest.raises(errors.TooLarge):
		read(url, asked("JSON Lines", **options), max_response_mb=1)
	serve(as_zip("x,y\n" + "1,2\n" * 3_000_000))
	with pytest.raises(errors.TooLarge):
		read(url, asked("CSV", compression="Zip"), max_response_mb=1)
	serve(as_zip(*["x,y\n" + "1,2\n" * 100_000] * 10))
	with pytest.raises(errors.TooLarge):
		read(url, asked("CSV", compression="Zip"), max_response_mb=1)


@pytest.mark.parametrize(
	"head",
	[
		'<!DOCTYPE Answer [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
		'<!DOCTYPE Answer [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
		'<!DOCTYPE Answer SYSTEM "http://127.0.0.1:1/x.dtd">',
	],
)
def test_entities_and_dtds_are_refused(url, serve, head):
	serve(as_xml(ROWS, 3, head).encode())
	with pytest.raises(errors.MalformedAnswer, match="DTD or entities"):
		read(url, asked("XML", "Answer.Rows.Row"))


@pytest.mark.parametrize(
	("kind", "body", "words"),
	[
		("XML", b"<a>" * 5000 + b"</a>" * 5000, "nested deeper"),
		("XML", b"<a><b><c>" + b"<d/>" * 250_000 + b"</c></b></a>", "elements"),
		("JSON Lines", b'{"a": "' + b"x" * 11_000_000, "longer than"),
		("JSON Lines", b'{"a":' * 5000, "not JSON"),
		("JSON Lines", b"[1]\n", "not an object"),
		("CSV", b'a,b\n1,"' + b"x\n" * 6_000_000, "not CSV"),
		("CSV", b"a,a\n1,2\n", "a name twice"),
		("CSV", b"a,\n1,2\n", "without a name"),
		("CSV", b"a,b\n1\n", "1 fields"),
		("CSV", b"a,b\n1,2,3\n", "3 fields"),
		("CSV", b"", "no header"),
		("CSV", b'{"error": "nothing for you"}', "begins like JSON"),
		("CSV", b"<!doctype html><title>Log in</title>", "Log in"),
		("JSON Lines", b"<html><title>Log in</title></html>", "Log in"),
		("XML", b"<html><title>Log in</title></html>", "Log in"),
		("XML", b'{"error": 1}', "not XML"),
	],
	ids=lambda value: value if isinstance(value, str) else "body",
)
def test_what_is_none_is_one_clear_error(url, serve, kind, body, words):
	serve(body)
	path = "x.y" if kind == "XML" else ""
	with pytest.raises(errors.MalformedAnswer, match=words):
		read(url, asked(kind, path))


@pytest.mark.parametrize("body", [b"PK\x03\x04 not really", b"", b"\x1f\x8b\x08", b"plain text"])
@pytest.mark.parametrize("compression", ["Gzip", "Zip"])
def test_what_is_no_archive_is_one_clear_error(url, serve, body, compression):
	serve(body)
	if not body and compression == "Gzip":
		return  # no member at all is no error of gzip's, and an empty list of lines
	with pytest.raises(errors.MalformedAnswer):
		read(url, asked("JSON Lines", compression=compression))


@given(
	st.binary(max_size=200),
	st.sampled_from(["JSON Lines", "CSV", "XML"]),
	st.sampled_from(["", "Gzip", "Zip"]),
)
def test_any_bytes_are_a_declared_error_or_records(url, serve, body, kind, compression):
	serve(body)
	try:
		records, _doubt = read(url, asked(kind, "a.b" if kind == "XML" else "", compression=compression))
	except errors.ConnectorError as error:
		assert error.kind
	else:
		assert all(isinstance(record, dict) for record in records)


# Bounded memory, pages and resuming


def test_a_large_file_is_read_a_part_at_a_time(url, serve):
	rows = 300_000
	serve(gzip.compress(b"id,name\n" + b"".join(b"%d,%s\n" % (n, b"n" * 40) for n in range(rows))))
	config = IntegrationConfig("x", base_url=url, max_response_mb=100, **FAST)
	with connector_for(config, Memory(), LocalCoordination(), {}, LOCAL) as hub:
		tracemalloc.start()
		count = most = 0
		for page in hub.pages(asked("CSV", compression="Gzip")):
			count, most = count + len(page.records), max(most, len(page.records))
		peak = tracemalloc.get_traced_memory()[1]
		tracemalloc.stop()
	assert (count, most) == (rows, PART)
	assert peak < 20 * 1024 * 1024, f"{peak} of some 15 MB in the file, 100 MB as dictionaries"


@pytest.mark.parametrize("pages_read", [1, 2, 4])
def test_a_fetch_that_is_resumed_within_a_body_begins_it_again(url, serve, pages_read):
	bodies = [
		as_lines([{"id": page * 10_000 + n} for n in range(2 * PART + 5)]).encode() for page in range(2)
	]
	serve(*bodies, b"")
	config = IntegrationConfig("x", base_url=url, **FAST)
	with connector_for(config, Memory(), LocalCoordination(), {}, LOCAL) as hub:
		pages = hub.pages(asked("JSON Lines", pagination="Page Number"))
		states = [next(pages).state for _ in range(pages_read)]
		pages.close()
		Bodies.asked.clear()
		rest = list(hub.pages(asked("JSON Lines", pagination="Page Number", state=states[-1])))
	body = 1 if pages_read < 3 else 2
	assert f"page={body}&" in Bodies.asked[0] or Bodies.asked[0].endswith(f"page={body}")
	assert sum(len(page.records) for page in rest) == (3 - body) * (2 * PART + 5)
	assert rest[-1].last


def test_pages_of_files_end_as_others_do(url, serve):
	serve(as_csv(ROWS[:2]).encode(), as_csv(ROWS[2:]).encode(), b"id,name\n")
	assert read(url, asked("CSV", pagination="Page Number")) == (ROWS, None)
	serve(as_csv(ROWS).encode())  # the same again and again
	records, doubt = read(url, asked("CSV", pagination="Page Number"))
	assert records == ROWS and doubt


NO_PLACE = [
	b"<Error><Message>Try again later</Message></Error>",
	b"<Answer><Message>Try again later</Message></Answer>",
	b"<Rows><Row><id>9</id></Row></Rows>",
	b'<Answer status="busy"/>',
	b"<Answer>busy</Answer>",
]


@pytest.mark.parametrize("body", NO_PLACE)
def test_an_xml_without_a_place_for_records_is_no_empty_page(url, serve, body):
	serve(as_xml(ROWS).encode(), body)
	with pytest.raises(errors.MalformedAnswer, match=r"records_path Answer\.Rows\.Row"):
		read(url, asked("XML", "Answer.Rows.Row", "Page Number"))
	serve(body)
	request = asked("XML", "Answer.Rows.Row")
	with pytest.raises(errors.MalformedAnswer):
		read(url, request)
	assert read(url, replace(request, records_optional=True))[0] == []


@pytest.mark.parametrize("body", [b"Error: try again later", b"error,code\n"])
def test_a_csv_of_other_columns_without_rows_is_no_empty_page(url, serve, body):
	request = replace(asked("CSV", pagination="Page Number"), id_path="id")
	serve(as_csv(ROWS).encode(), body)
	with pytest.raises(errors.MalformedAnswer, match="no column 'id'"):
		read(url, request)
	serve(as_csv(ROWS).encode(), body)
	assert read(url, replace(request, records_optional=True))[0] == ROWS
	serve(as_csv(ROWS).encode(), b"id,name\n")
	assert read(url, request) == (ROWS, None)


def test_an_xml_that_says_it_failed_has_no_records(url, serve):
	serve(b"<Answer><status>error</status><Rows/></Answer>")
	for is_optional in (True, False):
		with pytest.raises(errors.RefusedWithin):
			read(url, replace(asked("XML", "Answer.Rows.Row"), records_optional=is_optional))


@pytest.mark.parametrize(
	"body",
	[b"<Answer><Rows/></Answer>", b"<Answer><Rows>\n</Rows></Answer>", b"<Answer/>", b"<Answer> </Answer>"],
)
def test_an_xml_with_an_empty_place_is_an_empty_page(url, serve, body):
	serve(as_xml(ROWS).replace("<Total>3</Total>", "").encode(), body)
	assert read(url, asked("XML", "Answer.Rows.Row", "Page Number")) == (WITH_KEY, None)


def test_what_an_xml_says_around_its_records_is_a_sign(url, serve):
	serve(as_xml(ROWS[:2], 3).encode())
	records, doubt = read(url, asked("XML", "Answer.Rows.Row"))
	assert len(records) == 2 and "3" in str(doubt)


# Settings


@pytest.mark.parametrize(
	("options", "path", "field"),
	[
		({"kind": "YAML"}, "", "response_format"),
		({"compression": "7z"}, "", "response_compression"),
		({"kind": "CSV", "charset": "klingon"}, "", "response_charset"),
		({"kind": "CSV", "charset": "hex"}, "", "response_charset"),
		({"kind": "CSV", "charset": "idna"}, "", "response_charset"),
		({"charset": "utf-8"}, "", "response_charset"),
		({"kind": "CSV", "delimiter": "ab"}, "", "csv_delimiter"),
		({"kind": "CSV", "delimiter": '"'}, "", "csv_delimiter"),
		({"kind": "CSV", "columns": "a,b,a"}, "", "csv_columns"),
		({"kind": "CSV"}, "data", "records_path"),
		({"kind": "JSON Lines"}, "data", "records_path"),
		({"kind": "XML"}, "", "records_path"),
		({"kind": "XML"}, "a[*].b", "records_path"),
	],
)
def test_formats_that_cannot_be_are_refused_by_field(options, path, field):
	assert field in [name for name, _ in format_problems(ResponseFormat(**options), path)]


HUB = """
[hub]
allowed_hosts = ["127.0.0.1:*"]
[integration.files]
base_url = "{url}"
[stream.rows]
integration = "files"
endpoint = "rows"
mode = "Full"
deletion_policy = "Delete"
max_delete_percent = 100
{settings}
target_doctype = "Row"
[stream.rows.mapping]
title = "name"
[table.Row]
title = "Data"
"""


def titles(runtime) -> list[str]:
	return [row["title"] for row in runtime.db.query("SELECT `title` FROM `tabRow` ORDER BY `title`")]


@pytest.mark.parametrize(
	("settings", "write"),
	[
		('response_format = "CSV"', as_csv),
		('response_format = "JSON Lines"', as_lines),
		(
			'response_format = "XML"\nrecords_path = "Answer.Rows.Row"',
			lambda rows: as_xml(rows),
		),
	],
)
def test_a_stream_follows_a_file_and_removes_only_by_a_whole_one(url, serve, tmp_path, settings, write):
	(tmp_path / "hub.toml").write_text(HUB.format(url=url, settings=settings))
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		serve(write(ROWS).encode())
		assert run_stream(runtime, "rows")["status"] == "Completed"
		assert titles(runtime) == sorted(row["name"] for row in ROWS)
		text = write(ROWS).encode()
		serve(text[: text.index(b"Grace")])
		run_stream(runtime, "rows")
		assert len(titles(runtime)) == 3
		serve(write(ROWS[:1]).encode(), framing="close")
		run = run_stream(runtime, "rows")
		if "XML" not in settings:  # whose end tag is its proof
			assert len(titles(runtime)) == 3 and re.search("no length", run["error"])
		serve(write(ROWS[1:]).encode())
		run_stream(runtime, "rows")
		assert titles(runtime) == sorted(row["name"] for row in ROWS[1:])


# A star in a path


@pytest.mark.parametrize(
	("answer", "path", "rows"),
	[
		({"shops": [{"rows": ROWS[:1]}, {"rows": ROWS[1:]}]}, "shops.*.rows", ROWS),
		({"shops": {"a": {"rows": ROWS[:1]}, "b": {"rows": ROWS[1:]}}}, "shops.*.rows", ROWS),
		([{"rows": ROWS[:1]}, {"rows": None}, {"rows": []}, {}, {"rows": ROWS[1:]}], "*.rows", ROWS),
		({"a": {"x": [{"r": {"rows": ROWS}}]}}, "a.*.*.r.rows", ROWS),
		(
			{"shops": [{"row": ROWS[0]}, {"row": ROWS[1]}, {"row": ROWS[2]}]},
			"shops.*.row",
			[{"id": row["id"], "name": row["name"]} for row in ROWS],
		),
		({"shops": None}, "shops.*.rows", []),
	],
)
def test_a_star_leads_into_each_element(url, serve, answer, path, rows):
	serve(json.dumps(answer).encode())
	records, doubt = read(url, asked("", path))
	assert (records, doubt) == (rows, None)


def test_empty_elements_are_no_end_of_the_pages(url, serve):
	"""The pages are of shops: one whose shops have no rows is not the last."""
	pages = [{"shops": [{"rows": []}, {"rows": []}]}, {"shops": [{"rows": ROWS}]}, {"shops": []}]
	serve(*[json.dumps(page).encode() for page in pages])
	assert read(url, asked("", "shops.*.rows", "Page Number")) == (ROWS, None)


@pytest.mark.parametrize(
	"answer", [{"shops": [1]}, {"shops": "x"}, {"other": []}, {"shops": [{"rows": "x"}]}]
)
def test_a_star_that_leads_to_no_records_is_an_error(url, serve, answer):
	serve(json.dumps(answer).encode())
	with pytest.raises(errors.MalformedAnswer, match="records_path"):
		read(url, asked("", "shops.*.rows"))
