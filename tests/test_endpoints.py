"""What the endpoints make of a request besides its signature: handshakes, forms, ids, and how rejections are kept."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
import zlib
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.sandbox.sender import SECRET
from integration_hub.webhooks import receive as receiving
from integration_hub.webhooks import rejections
from integration_hub.webhooks.messages import MAX_BODY, Request
from integration_hub.webhooks.presets import presets
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.receiver import from_wsgi
from integration_hub.webhooks.schemes import SCHEMES
from integration_hub.webhooks.schemes.shared_secret import TokenScheme
from tests.compare import errors

FORM = "application/x-www-form-urlencoded"
# Presets of the schemes that answer a GET, and those whose settings have such a handshake.
GREETED = {
	name
	for name, preset in presets().items()
	if preset.scheme in ("Meta", "X") or preset.settings.get("handshake") in ("Query", "Header")
}


@pytest.fixture(autouse=True)
def nothing_counted_yet():
	rejections._causes.clear()


@pytest.fixture
def endpoint(make_runtime):
	"""Give a function that makes a runtime whose integration has a scheme and more settings."""

	def make(scheme: str, **fields: str):
		lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())
		settled = '\nevent_type_path = "event"\nevent_id_path = "id"\n'
		return make_runtime(
			("webhook_enabled = true", f'webhook_enabled = true\nwebhook_scheme = "{scheme}"\n{lines}'),
			(settled, "\n"),
		)

	return make


@pytest.fixture
def octocat(endpoint):
	return endpoint("GitHub")


def mac(body: bytes, digest=hashlib.sha256) -> bytes:
	return hmac.new(SECRET.encode(), body, digest).digest()


def slack(runtime, body: bytes, kind: str = "application/json"):
	at = str(int(time.time()))
	signature = "v0=" + mac(f"v0:{at}:".encode() + body).hex()
	headers = {"x-slack-request-timestamp": at, "x-slack-signature": signature, "content-type": kind}
	return receive(runtime, Request("crm", "POST", headers, body))


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


def test_slacks_url_verification_is_answered_once_it_is_proven(endpoint):
	runtime = endpoint("Slack")
	body = (
		b'{"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}'
	)
	answer = slack(runtime, body)
	assert (answer.status, json.loads(answer.text)) == (200, {"challenge": json.loads(body)["challenge"]})
	assert receive(runtime, Request("crm", "POST", {}, body)).status == 401
	assert rows(runtime) == []


def test_slacks_events_commands_and_interactions_have_their_ids(endpoint):
	runtime = endpoint("Slack")
	command = urlencode({"command": "/order", "text": "7", "trigger_id": "1.2.a"}).encode()
	interaction = urlencode(
		{"payload": json.dumps({"type": "block_actions", "trigger_id": "1.2.b"})}
	).encode()
	event = b'{"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention"}}'
	for body, kind in ((event, "application/json"), (command, FORM), (interaction, FORM)):
		assert slack(runtime, body, kind).reason == "unrouted"
		assert slack(runtime, body, kind).reason == "duplicate"
	found = [(row["event_id"], row["event_type"]) for row in rows(runtime)]
	assert found == [("Ev1", "app_mention"), ("1.2.a", "/order"), ("1.2.b", "block_actions")]
	assert [json.loads(row["payload"]).get("text") for row in rows(runtime)] == [None, "7", None]


def meta(runtime, **query: str):
	query = {f"hub.{name}": value for name, value in query.items()}
	return receive(runtime, Request("crm", "GET", {}, b"", query=query))


def test_metas_challenge_is_repeated_to_who_knows_the_verify_token(endpoint, monkeypatch):
	monkeypatch.setenv("VERIFY", "my-verify-token")
	runtime = endpoint("Meta", webhook_verify_token="env:VERIFY")
	answer = meta(runtime, mode="subscribe", challenge="1158201444", verify_token="my-verify-token")
	assert (answer.status, answer.text, answer.mimetype) == (200, "1158201444", "text/plain")
	for token in ("guess", "", "é"):
		assert meta(runtime, mode="subscribe", challenge="1", verify_token=token).status == 401
	assert meta(runtime).status == 405
	without = endpoint("Meta")
	assert meta(without, mode="subscribe", challenge="1", verify_token="").status == 401


def crc(runtime, token: str):
	return receive(runtime, Request("crm", "GET", {}, b"", query={"crc_token": token}))


def test_xs_crc_is_answered_and_signs_nothing_that_could_be_an_event(endpoint):
	runtime = endpoint("X")
	token = "9b4507b3-9040-4669-9ca3-6b94edb50553"
	expected = "sha256=" + base64.b64encode(mac(token.encode())).decode()
	assert json.loads(crc(runtime, token).text) == {"response_token": expected}
	for forged in ('{"for_user_id": "1"}', "a=1", "[1]", "", "x" * 129, "a b", "ünicode"):
		assert crc(runtime, forged).status == 401
	# What it does sign is accepted as no body of any kind.
	signed = {"x-twitter-webhooks-signature": json.loads(crc(runtime, "a=").text)["response_token"]}
	for kind in ("application/json", FORM, "text/plain", ""):
		answer = receive(runtime, Request("crm", "POST", {**signed, "content-type": kind}, b"a="))
		assert answer.status in (400, 415), answer
	assert rows(runtime) == []


def test_a_get_is_no_handshake_elsewhere(endpoint):
	for scheme in SCHEMES.keys() - GREETED:
		answer = receive(
			endpoint(scheme),
			Request("crm", "GET", {}, b"", query={"crc_token": "a", "hub.mode": "subscribe"}),
		)
		assert (answer.status, answer.reason) == (405, "method_not_allowed")


def github(runtime, body: bytes, kind: str = "application/json", **headers: str):
	signed = {"x-hub-signature-256": "sha256=" + mac(body).hex(), "content-type": kind}
	return receive(runtime, Request("crm", "POST", {**signed, **headers}, body))


def test_github_names_event_and_delivery_in_headers(endpoint):
	runtime = endpoint("GitHub")
	named = {"x-github-delivery": "72d3162e", "x-github-event": "issues"}
	assert github(runtime, b'{"action": "opened"}', **named).reason == "unrouted"
	assert github(runtime, b'{"action": "opened"}', **named).reason == "duplicate"
	assert github(runtime, b'{"action": "closed"}', **named).reason == "unrouted"
	first = rows(runtime)[0]
	assert (first["event_id"], first["event_type"]) == ("72d3162e", "issues")
	form = urlencode({"payload": '{"action": "edited"}'}).encode()
	github(runtime, form, FORM, **{"x-github-delivery": "2"})
	assert json.loads(rows(runtime)[-1]["payload"]) == {"action": "edited"}


def test_settings_say_otherwise_than_the_scheme(endpoint):
	runtime = endpoint("GitHub", event_id_path="delivery.id", event_type_path="action")
	github(runtime, b'{"action": "opened", "delivery": {"id": 7}}', **{"x-github-delivery": "72d3162e"})
	assert [(row["event_id"], row["event_type"]) for row in rows(runtime)] == [("7", "opened")]


def test_the_hash_of_the_body_is_the_key_if_so_set(endpoint):
	runtime = endpoint("GitHub", event_id_source="Hash of Body")
	for delivery, body in (("1", b'{"n": 1}'), ("2", b'{"n": 1}'), ("2", b'{"n": 2}')):
		github(runtime, body, **{"x-github-delivery": delivery})
	assert [row["deliveries"] for row in rows(runtime)] == [2, 1]


@pytest.mark.parametrize(
	("kind", "body", "status", "reason"),
	[
		("application/cloudevents+json; charset=utf-8", b'{"id": "1"}', 202, "unrouted"),
		("text/plain", b'{"id": "1"}', 202, "unrouted"),
		("", b'{"id": "1"}', 202, "unrouted"),
		(FORM, b'{"id": "1"}', 202, "unrouted"),
		(FORM, b"id=1&name=J%C3%BCrgen&tag=a&tag=b", 202, "unrouted"),
		(FORM, b"", 400, "body_not_a_form"),
		(FORM, b"id=%FF", 400, "body_not_utf8"),
		(FORM, b"&".join(b"a=1" for _ in range(2000)), 400, "body_not_a_form"),
		("application/xml", b"<a/>", 202, "unrouted"),
		("application/xml", b"a", 400, "body_not_xml"),
		("multipart/form-data; boundary=x", b"--x--", 400, "body_not_a_form"),
		("application/x-protobuf", b'{"id": "1"}', 415, "media_type_not_supported"),
		("application/octet-stream", b'{"id": "1"}', 415, "media_type_not_supported"),
	],
)
def test_json_xml_and_forms_are_payloads_and_nothing_else_is(endpoint, kind, body, status, reason):
	runtime = endpoint("GitHub", event_id_path="id")
	answer = github(runtime, body, kind)
	assert (answer.status, answer.reason) == (status, reason)
	assert len(rows(runtime)) == (status < 400)
	if body.startswith(b"id=1&"):
		assert json.loads(rows(runtime)[0]["payload"]) == {"id": "1", "name": "Jürgen", "tag": ["a", "b"]}


def test_a_body_that_the_database_takes_in_no_statement_is_refused_for_good(octocat, monkeypatch):
	body = json.dumps({"text": "x" * 2_000_000}).encode()
	monkeypatch.setattr(receiving, "longest_statement", lambda runtime: 1_500_000)
	answer = github(octocat, body)
	assert (answer.status, answer.reason) == (413, "body_too_large_for_database")
	monkeypatch.setattr(receiving, "longest_statement", lambda runtime: 16_000_000)
	assert github(octocat, body).status == 202


TEXT = '{"id": "1", "name": "Jürgen"}'


def zipped(body: bytes) -> bytes:
	"""Return a body packed the same at any time: it names its test, which processes that share the work agree on."""
	return gzip.compress(body, mtime=0)


def deflated(body: bytes, kind: int) -> bytes:
	packer = zlib.compressobj(wbits=kind)
	return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
	("coding", "body"),
	[
		("gzip", zipped(TEXT.encode())),
		("x-gzip", zipped(TEXT.encode())),
		("GZIP, identity", zipped(TEXT[:5].encode()) + zipped(TEXT[5:].encode())),
		("deflate", deflated(TEXT.encode(), 15)),
		("deflate", deflated(TEXT.encode(), -15)),
		("identity", TEXT.encode()),
		("", b"\xef\xbb\xbf" + TEXT.encode()),
	],
)
def test_a_packed_body_is_the_event_that_was_packed(endpoint, coding, body):
	"""The signature is over the bytes as they are sent."""
	runtime = endpoint("GitHub", event_id_path="id")
	assert github(runtime, body, "application/json", **{"content-encoding": coding}).status == 202
	assert github(runtime, TEXT.encode(), "application/json").reason == "duplicate"
	assert rows(runtime)[0]["payload"] == TEXT


@pytest.mark.parametrize(
	("coding", "body", "status", "reason"),
	[
		("br", b"{}", 415, "encoding_not_supported"),
		("gzip, gzip", zipped(zipped(b"{}")), 415, "encoding_not_supported"),
		("aes128gcm", b"{}", 415, "encoding_not_supported"),
		("gzip", b"{}", 400, "body_not_unpackable"),
		("gzip", b"", 400, "body_not_unpackable"),
		("gzip", zipped(b"{}")[:-3], 400, "body_not_unpackable"),
		("gzip", zipped(b"{}") + b"more", 400, "body_not_unpackable"),
		("gzip", zipped(b"") * 1000, 400, "body_not_unpackable"),
		("deflate", b"\x78\x9c", 400, "body_not_unpackable"),
		("gzip", zipped(b" " * (MAX_BODY + 1)), 413, "body_too_large"),
		("deflate", deflated(b" " * (MAX_BODY + 1), -15), 413, "body_too_large"),
		("gzip", zipped(b" " * MAX_BODY) + zipped(b"  "), 413, "body_too_large"),
		("", b"\xef\xbb\xbf" * 2 + b"{}", 400, "body_not_json"),
	],
)
def test_what_cannot_be_unpacked_is_refused(endpoint, coding, body, status, reason):
	runtime = endpoint("GitHub")
	answer = github(runtime, body, "application/json", **{"content-encoding": coding})
	assert (answer.status, answer.reason, rows(runtime)) == (status, reason, [])


@pytest.mark.parametrize(
	("kind", "body", "expected"),
	[
		("application/json; charset=iso-8859-1", '{"n": "Jürgen"}'.encode("latin-1"), {"n": "Jürgen"}),
		('application/json; charset="Windows-1252"', '{"n": "€"}'.encode("cp1252"), {"n": "€"}),
		("application/json;charset=UTF-16", '{"n": "€"}'.encode("utf-16"), {"n": "€"}),
		(f"{FORM}; charset=ISO-8859-1", b"n=J%FCrgen&m=J\xfcrgen", {"n": "Jürgen", "m": "Jürgen"}),
		(f"{FORM}; charset=Shift_JIS", b"n=%83e%83X%83g", {"n": "テスト"}),
		(f"{FORM};charset=utf-8", b"n=J%C3%BCrgen", {"n": "Jürgen"}),
	],
)
def test_a_declared_charset_is_read(endpoint, kind, body, expected):
	runtime = endpoint("GitHub")
	assert github(runtime, body, kind).status == 202
	assert json.loads(rows(runtime)[0]["payload"]) == expected


@pytest.mark.parametrize(
	("kind", "body", "status", "reason"),
	[
		("application/json; charset=utf-7", b"{}", 415, "charset_not_supported"),
		("application/json; charset=unicode_escape", b"{}", 415, "charset_not_supported"),
		("application/json; charset=base64", b"{}", 415, "charset_not_supported"),
		("application/json; charset=nonsense", b"{}", 415, "charset_not_supported"),
		(f"{FORM}; charset=rot13", b"a=1", 415, "charset_not_supported"),
		("application/json; charset=us-ascii", b'{"n": "\xfc"}', 400, "body_not_in_its_charset"),
		("application/json; charset=utf-16", b"{}\x00", 400, "body_not_in_its_charset"),
		("application/json; charset=iso-8859-99", b"{}", 400, "body_not_in_its_charset"),
	],
)
def test_other_charsets_are_refused(endpoint, kind, body, status, reason):
	runtime = endpoint("GitHub")
	answer = github(runtime, body, kind)
	assert (answer.status, answer.reason, rows(runtime)) == (status, reason, [])


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_who_looks_at_an_endpoint_is_told_what_it_takes(endpoint, scheme):
	runtime = endpoint(scheme)
	for method in ("HEAD", "OPTIONS"):
		answer = receive(runtime, Request("crm", method, {}, b""))
		assert (answer.status, "POST" in dict(answer.headers)["Allow"]) == (200, True)
	for method in ("PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"):
		answer = receive(runtime, Request("crm", method, {}, b""))
		assert answer.status == 405
		assert ("GET" in dict(answer.headers)["Allow"]) == (scheme in GREETED)
	asked = Request("crm", "OPTIONS", {"webhook-request-origin": "events.example"}, b"")
	assert dict(receive(runtime, asked).headers)["WebHook-Allowed-Origin"] == "*"
	assert receive(runtime, Request("nobody", "HEAD", {}, b"")).status == 404


def test_a_401_says_how_to_prove_who_one_is(endpoint, monkeypatch):
	monkeypatch.setenv("CRM_WEBHOOK_SECRET", "user:password")
	runtime = endpoint("Basic")
	for headers in ({}, {"authorization": "Basic eHg="}, {"authorization": "Bearer x"}):
		answer = receive(runtime, Request("crm", "POST", headers, b"{}"))
		assert (answer.status, dict(answer.headers)["WWW-Authenticate"][:11]) == (401, "Basic realm")
	config = IntegrationConfig("crm", signature_header="Authorization", signature_prefix="Bearer ")
	assert (TokenScheme(config).authenticate, TokenScheme(IntegrationConfig("crm")).authenticate) == (
		"Bearer",
		"",
	)
	assert receive(endpoint("HMAC"), Request("crm", "POST", {}, b"{}")).headers == ()


def test_rejections_are_counted_by_cause_and_hardly_written(endpoint, monkeypatch):
	runtime = endpoint("GitHub")
	clock = [1000.0]
	monkeypatch.setattr(rejections.time, "monotonic", lambda: clock[0])
	written = []
	monkeypatch.setattr(rejections, "in_transaction", lambda db, work: written.append(1) or work())
	for _ in range(500):
		receive(runtime, Request("crm", "POST", {}, b"{}"))
		receive(runtime, Request("crm", "POST", {"x-hub-signature-256": "sha256=guess"}, b"{}"))
	for number in range(500):
		receive(runtime, Request(f"no-such-{number}", "POST", {}, b"{}"))
	assert len(written) == 3, "one a cause"
	clock[0] += 60
	receive(runtime, Request("crm", "POST", {}, b'{"password": "hunter22"}'))
	found = {(row["integration"], row["kind"]): row for row in errors(runtime)}
	assert {place: row["occurrences"] for place, row in found.items()} == {
		("crm", "signature_missing"): 501,
		("crm", "signature_wrong"): 1,
		("", "unknown_integration"): 1,
	}
	assert "hunter22" not in str(found) and rows(runtime) == []


def test_rejecting_goes_on_while_nothing_can_be_written(endpoint, monkeypatch):
	runtime = endpoint("GitHub")
	monkeypatch.setattr(rejections, "in_transaction", lambda *_: 1 / 0)
	assert receive(runtime, Request("crm", "POST", {}, b"{}")).status == 401


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
	body=st.binary(max_size=100)
	| st.builds(lambda v: urlencode(v).encode(), st.dictionaries(st.text(), st.text())),
	kind=st.sampled_from(["application/json", FORM, "text/plain", "a/b", ""]) | st.text(max_size=20),
	headers=st.dictionaries(
		st.sampled_from(["x-github-delivery", "x-github-event", "x"]), st.text(max_size=300)
	),
	method=st.sampled_from(["POST", "POST", "GET", "PUT"]),
)
def test_any_signed_request_gets_a_declared_answer(octocat, body, kind, headers, method):
	signed = {**headers, "x-hub-signature-256": "sha256=" + mac(body).hex(), "content-type": kind}
	answer = receive(octocat, Request("crm", method, signed, body))
	assert answer.status in (200, 202, 400, 405, 415), answer


@pytest.mark.parametrize("raw", [True, False])
def test_the_url_is_handed_on_as_it_was_called(raw):
	query = "a=%C3%BC&b=1%2B1"
	environ = EnvironBuilder(
		"/webhooks/crm", query_string=query, base_url="https://hub.example"
	).get_environ()
	environ |= dict.fromkeys(("RAW_URI", "REQUEST_URI"), f"/webhooks/crm?{query}" if raw else "")
	request = from_wsgi(environ, "crm", b"")
	assert request.url == "https://hub.example/webhooks/crm?a=%C3%BC&b=1%2B1"
	assert request.query == {"a": "ü", "b": "1+1"}


def test_what_a_stranger_chooses_makes_no_rows(octocat):
	"""One row an integration and cause, whatever media types, methods and spellings are tried."""
	rejections._causes.clear()
	for number in range(20):
		rejections._causes.clear()  # as if each were written at once, in a process of its own
		receive(octocat, Request("crm", "POST", {"content-type": f"x/{chr(97 + number)}"}, b"{}"))
		receive(octocat, Request("CRM"[: 1 + number % 3], "POST", {}, b"{}"))
	rows = octocat.db.query("SELECT `integration`, `kind`, `occurrences` FROM `tabIntegration Error Log`")
	assert sorted((row["integration"], row["kind"], row["occurrences"]) for row in rows) == [
		("", "unknown_integration", 20),
		("crm", "signature_missing", 20),
	]


def test_half_a_surrogate_pair_in_a_form_is_stored(octocat):
	body = b"payload=" + quote('{"text": "\\ud83d"}').encode()
	signed = {"x-hub-signature-256": "sha256=" + mac(body).hex(), "content-type": FORM}
	assert receive(octocat, Request("crm", "POST", signed, body)).status in (200, 202)
