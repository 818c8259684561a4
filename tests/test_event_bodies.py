"""Bodies that are no plain JSON: forms with JSON in them or with files, XML, CloudEvents; and what is refused."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.webhooks.bodies import BodyTooLarge, MalformedEvent, Reading, UnsupportedMedia, read_body
from integration_hub.webhooks.cloud_events import read_cloud_events
from tests.webhook_sender import Sender

FORM = "application/x-www-form-urlencoded"
XML = "text/xml; charset=utf-8"
MOST = 1_000_000


def read(body: bytes | str, kind: str, **settings):
	raw = body.encode() if isinstance(body, str) else body
	how = Reading.of(IntegrationConfig("x", **settings))
	return read_body(raw, {"content-type": kind}, MOST, how)[1]


def multipart(*parts: tuple[str, str, bytes], boundary: str = "b") -> tuple[bytes, str]:
	"""Return a body and its media type: parts of name, more of the disposition, content (RFC 7578)."""
	body = b""
	for name, more, content in parts:
		body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
		body += content + b"\r\n"
	return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def test_json_in_fields_of_a_form_is_read_where_the_settings_say():
	body = urlencode({"formID": "7", "rawRequest": '{"q": [1, 2]}', "list": "[1]", "bad": "{"})
	fields = "rawRequest, list, bad"
	assert read(body, FORM, json_fields=fields) == {
		"formID": "7",
		"rawRequest": {"q": [1, 2]},
		"list": [1],
		"bad": "{",
	}
	assert read(body, FORM)["rawRequest"] == '{"q": [1, 2]}'
	assert read(urlencode([("a", "[1]"), ("a", "[2]")]), FORM, json_fields="a") == {"a": [[1], [2]]}
	assert read(urlencode({"payload": '{"a": 1}'}), FORM) == {"a": 1}, "as Slack and GitHub have it"
	assert read(urlencode({"payload": '{"a": 1}', "x": "y"}), FORM, json_fields="payload") == {
		"payload": {"a": 1},
		"x": "y",
	}


def test_a_list_in_a_field_of_a_form_is_taken_apart(make_runtime):
	sender = Sender(
		make_runtime,
		json_fields="mandrill_events",
		events_path="mandrill_events[]",
		event_id_path="_id",
		event_type_path="event",
	)
	body = urlencode(
		{
			"mandrill_events": json.dumps([{"_id": "1", "event": "open"}, {"_id": "2", "event": "click"}]),
			"account": "a",
		}
	)
	assert sender.send(body.encode(), content_type=FORM) == "unrouted"
	assert [(row["event_id"], row["event_type"]) for row in sender.rows()] == [("1", "open"), ("2", "click")]
	assert json.loads(sender.rows()[0]["payload"])["^"] == {"account": "a"}


def test_files_of_a_form_are_told_and_not_kept_unless_they_are_to_be():
	content = bytes(range(256))
	body, kind = multipart(
		("rawRequest", "", b'{"a": 1}'),
		("name", "", "Jürgen".encode()),
		("name", "", b"second"),
		("upload", '; filename="a.bin"\r\nContent-Type: application/pdf', content),
	)
	file = {
		"filename": "a.bin",
		"content_type": "application/pdf",
		"size": 256,
		"sha256": hashlib.sha256(content).hexdigest(),
	}
	assert read(body, kind, json_fields="rawRequest") == {
		"rawRequest": {"a": 1},
		"name": ["Jürgen", "second"],
		"upload": file,
	}
	assert read(body, kind, keep_files=True)["upload"] == {**file, "content": b64encode(content).decode()}


def test_the_same_form_with_another_boundary_is_a_duplicate(make_runtime):
	sender = Sender(make_runtime)
	for boundary, answer in (("first", "unrouted"), ("second", "duplicate")):
		body, kind = multipart(("a", "", b"1"), ("f", '; filename="x"', b"2"), boundary=boundary)
		assert sender.send(body, content_type=kind) == answer


@pytest.mark.parametrize(
	("body", "kind"),
	[
		(b"", "multipart/form-data; boundary=x"),
		(b"--x--", "multipart/form-data; boundary=x"),
		(b"--x\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x"),
		(b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb", "multipart/form-data; boundary=x"),
		(multipart(("a", "", b"b"))[0], "multipart/form-data"),
		(multipart(("a", "", b"b"))[0], "multipart/form-data; boundary=\xe4"),
		(multipart(*[("a", "", b"b")] * 1500)[0], "multipart/form-data; boundary=b"),
	],
)
def test_what_is_no_form_with_parts_is_refused(body, kind):
	with pytest.raises(MalformedEvent, match="body_not_a_form"):
		read(body, kind)


@given(
	st.binary(max_size=300),
	st.sampled_from(["multipart/form-data; boundary=b", XML, "application/soap+xml", FORM]),
)
def test_any_body_of_these_types_is_read_or_refused(body, kind):
	for raw in (body, b"--b\r\n" + body + b"\r\n--b--", b"<a>" + body + b"</a>"):
		with suppress(MalformedEvent, UnsupportedMedia, BodyTooLarge):
			assert isinstance(read(raw, kind, json_fields="a", keep_files=True), dict | list)


SOAP = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D</OrganizationId>
  {} </notifications></soapenv:Body></soapenv:Envelope>"""
NOTE = '<Notification><Id>{}</Id><sObject xsi:type="sf:Contact" xmlns:sf="urn:x"><sf:Id>{}</sf:Id><sf:Name>A &amp; B</sf:Name></sObject></Notification>'


def test_xml_is_a_tree_of_local_names():
	assert read("<a x='1' p:y='2' xmlns:p='u'>t<b>1</b><b/><c><![CDATA[<d>]]></c></a>", XML) == {
		"a": {"@x": "1", "@y": "2", "b": ["1", ""], "c": "<d>", "#text": "t"}
	}
	tree = read(SOAP.format(NOTE.format("1", "c1")), "application/soap+xml")
	found = tree["Envelope"]["Body"]["notifications"]
	assert found["Notification"]["sObject"] == {"@type": "sf:Contact", "Id": "c1", "Name": "A & B"}


@pytest.mark.parametrize("count", [1, 3])
def test_elements_of_xml_are_events_one_or_many(make_runtime, count):
	path = "Envelope.Body.notifications.Notification[]"
	sender = Sender(make_runtime, events_path=path, event_id_path="Id", event_type_path='{sObject."@type"}')
	body = SOAP.format("".join(NOTE.format(f"n{n}", f"c{n}") for n in range(count)))
	assert sender.send(body.encode(), content_type=XML) == "unrouted"
	assert [row["event_id"] for row in sender.rows()] == [f"n{n}" for n in range(count)]
	payload = json.loads(sender.rows()[0]["payload"])
	assert payload["^"]["Envelope"]["Body"]["notifications"]["OrganizationId"] == "00D"


@pytest.mark.parametrize(
	("kind", "body"),
	[
		("application/xml", '<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe4</a>'.encode("latin-1")),
		("text/xml; charset=iso-8859-1", b"<a>\xe4</a>"),
		("text/xml", '<?xml version="1.0" encoding="utf-16"?><a>ä</a>'.encode("utf-16")),
		("text/xml", "\ufeff<a>ä</a>".encode()),
	],
)
def test_xml_is_in_the_charset_that_it_says(kind, body):
	assert read(body, kind) == {"a": "ä"}


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'
EXTERNAL = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'


@pytest.mark.parametrize(
	("body", "reason"),
	[
		(BOMB, "body_has_document_type"),
		(EXTERNAL, "body_has_document_type"),
		('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>', "body_has_document_type"),
		("<a>&b;</a>", "body_not_xml"),
		("<a>", "body_not_xml"),
		("<a/><b/>", "body_not_xml"),
		("", "body_not_xml"),
		("<a>\x00</a>", "body_not_xml"),
		("<a>" * 200 + "</a>" * 200, "body_too_deep"),
		("<a>" + "<b/>" * 200_001 + "</a>", "body_has_too_many_elements"),
	],
)
def test_xml_that_would_expand_or_is_none_is_refused(body, reason):
	with pytest.raises(MalformedEvent, match=reason):
		read(body, XML)


EVENT = {
	"specversion": "1.0",
	"id": "A-1",
	"source": "/shop",
	"type": "com.example.paid",
	"time": "2026-01-02T03:04:05Z",
}
CLOUD = {
	"event_format": "CloudEvents",
	"event_id_path": "[source, id]",
	"event_type_path": "type",
	"event_time_path": "time",
}


def cloud_headers(**more: str) -> dict[str, str]:
	return {f"ce_{name}": value for name, value in EVENT.items()} | more


def test_structured_binary_and_batch_are_the_same_events(make_runtime):
	sender = Sender(make_runtime, **CLOUD)
	structured = {**EVENT, "data": {"order": 7}}
	assert sender.send(structured, content_type="application/cloudevents+json; charset=UTF-8") == "unrouted"
	[first] = sender.rows()
	assert (first["event_id"], first["event_type"]) == ("/shop | A-1", "com.example.paid")
	assert (first["event_time"][:19], first["unsigned"]) == ("2026-01-02T03:04:05", "")
	more = [{**structured, "id": "A-2"}, {**structured, "id": "A-3"}, {"no": "event"}, 3]
	assert sender.send([structured, *more], content_type="application/cloudevents-batch+json") == "conflict"
	assert [row["deliveries"] for row in sender.rows()] == [2, 1, 1, 1, 1]
	binary = sender.send(
		{"order": 8}, content_type="application/json", **cloud_headers(ce_id="A-4", ce_subject="caf%C3%A9")
	)
	assert binary == "unrouted"
	row = sender.rows()[-1]
	assert (row["event_id"], row["event_type"], row["unsigned"]) == (
		"/shop | A-4",
		"com.example.paid",
		"id, type, time",
	)
	kept = json.loads(row["payload"])
	assert (kept["data"], kept["subject"], kept["id"]) == ({"order": 8}, "café", "A-4")


@pytest.mark.parametrize(
	("kind", "body", "data"),
	[
		("application/json", b"[1, 2]", {"data": [1, 2]}),
		("application/json", b'"text"', {"data": "text"}),
		("", b"null", {"data": None}),
		("text/plain", b"hello", {"data": "hello"}),
		("application/xml", b"<a/>", {"data": "<a/>"}),
		("application/octet-stream", b"\x00\xff", {"data_base64": "AP8="}),
		("application/json", b"", {}),
	],
)
def test_the_data_of_an_event_in_binary_mode(kind, body, data):
	headers = {f"ce-{name}": value for name, value in EVENT.items()} | {
		"content-type": kind,
		"ce-authtoken": "secret",
	}
	_, event = read_cloud_events(body, headers, MOST, Reading(exact=True))
	assert {k: v for k, v in event.items() if k.startswith("data") and k != "datacontenttype"} == data
	assert "authtoken" not in event


@pytest.mark.parametrize(
	("kind", "body", "refusal"),
	[
		("application/cloudevents+protobuf", b"\x0a", UnsupportedMedia),
		("application/cloudevents+avro", b"\x0a", UnsupportedMedia),
		("application/x-protobuf", b"\x0a", UnsupportedMedia),
		("application/json", b"{", MalformedEvent),
		("application/json", b'1, "id": 2', MalformedEvent),
	],
)
def test_what_is_no_cloud_event_is_refused(kind, body, refusal):
	headers = {f"ce-{name}": value for name, value in EVENT.items()} | {"content-type": kind}
	with pytest.raises(refusal):
		read_cloud_events(body, headers, MOST, Reading())
	with pytest.raises((UnsupportedMedia, MalformedEvent)):
		read_cloud_events(b'{"id": "1"}', {"content-type": "application/json"}, MOST, Reading())


def test_protobuf_is_refused_by_every_endpoint(make_runtime):
	for settings in ({}, CLOUD):
		sender = Sender(make_runtime, **settings)
		for kind in ("application/x-protobuf", "application/cloudevents+protobuf", "application/protobuf"):
			assert sender.send(b"{}", content_type=kind) == "media_type_not_supported"
