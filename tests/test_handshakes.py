"""Handshakes, answers and signatures by settings alone: what any sender may ask for, and what a stranger gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import quote

import pytest
import requests.adapters
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from integration_hub.commands import integration_hub
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.runtime.standalone.runtime import StandaloneRuntime
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks import rejections
from integration_hub.webhooks.messages import Request, first_values
from integration_hub.webhooks.new_secrets import expect_secret
from integration_hub.webhooks.presets import filled, presets
from integration_hub.webhooks.receive import largest_body, receive, too_large
from integration_hub.webhooks.schemes import HMACScheme, certificates, scheme_for
from integration_hub.webhooks.schemes.base import CannotVerify
from integration_hub.webhooks.schemes.freshness import now_as
from integration_hub.webhooks.settings_checks import Registered, endpoint_problems
from tests.tls import self_signed, tls_in_front_of

SECRET = "a-secret-of-some-length"
URL = "https://hub.example.com/webhooks/crm"
NEW = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"


@pytest.fixture(autouse=True)
def nothing_counted_yet():
	rejections._causes.clear()


@pytest.fixture
def opened(make_runtime, monkeypatch):
	"""Give a function that opens a runtime whose integration has a scheme and more settings. secret: "" for none."""

	def make(scheme: str, secret: str = SECRET, **settings: object) -> StandaloneRuntime:
		monkeypatch.setenv("CRM_WEBHOOK_SECRET", secret or "x")
		lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
		changes = [
			('\nevent_type_path = "event"\nevent_id_path = "id"\n', f'\nwebhook_scheme = "{scheme}"\n{lines}')
		]
		changes.append(('signature_header = "X-Webhook-Signature"\n', ""))
		if not secret:
			changes.append(('webhook_secret = "env:CRM_WEBHOOK_SECRET"\n', ""))
		return make_runtime(*changes)

	return make


def ask(
	runtime, method: str = "POST", body: object = b"", query: str = "", place: str = "crm", **headers: str
):
	raw = body if isinstance(body, bytes) else json.dumps(body).encode()
	names = {name.replace("_", "-"): value for name, value in headers.items()}
	url = f"{URL}?{query}" if query else URL
	return receive(runtime, Request(place, method, names, raw, url, first_values(query)))


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log`")


def mac(content: bytes, digest: str = "sha256", key: str = SECRET) -> bytes:
	return hmac.new(key.encode(), content, getattr(hashlib, digest)).digest()


def b64(raw: bytes) -> str:
	return base64.b64encode(raw).decode()


def test_dropbox_and_graph_get_back_what_they_sent_as_text(opened):
	runtime = opened("Dropbox")
	answer = ask(runtime, "GET", query="challenge=" + quote("<script>1</script>"))
	assert (answer.status, answer.text, answer.mimetype) == (200, "<script>1</script>", "text/plain")
	assert dict(answer.all_headers)["X-Content-Type-Options"] == "nosniff"
	assert ask(runtime, "GET").status == 405 and ask(runtime, "GET", query="challenge=").status == 405
	assert ask(runtime, "GET", query="challenge=" + "x" * 5000).status == 401
	graph = opened("Microsoft Graph")
	answer = ask(graph, query="validationToken=Validation%3A%20Testing", content_type="text/plain")
	assert (answer.status, answer.text, answer.mimetype) == (200, "Validation: Testing", "text/plain")
	assert rows(runtime) == rows(graph) == []


def test_event_grid_gets_its_code_back_where_the_url_holds_the_token(opened):
	runtime = opened("Azure Event Grid")
	body = [
		{
			"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
			"data": {"validationCode": "512d38b6"},
		}
	]
	answer = ask(runtime, body=body, query=f"code={SECRET}", content_type="application/json")
	assert (answer.status, json.loads(answer.text)) == (200, {"validationResponse": "512d38b6"})
	assert ask(runtime, body=body).status == 401
	for query in ("code=guess", "code=", "Code=" + SECRET, f"code=x{SECRET}"):
		assert ask(runtime, body=body, query=query).status == 401
	assert rows(runtime) == []


@pytest.mark.parametrize("preset", presets())
def test_who_may_deliver_by_cloudevents_is_answered_by_each_endpoint(opened, preset):
	runtime = opened(preset)
	answer = ask(
		runtime, "OPTIONS", webhook_request_origin="eventemitter.example.com", webhook_request_rate="120"
	)
	told = dict(answer.headers)
	assert (answer.status, told["WebHook-Allowed-Origin"], told["WebHook-Allowed-Rate"]) == (200, "*", "*")
	assert ask(runtime, "HEAD").status == 200 and rows(runtime) == []


def zoom(body: bytes, key: str = SECRET) -> dict:
	at = str(int(time.time()))
	return {
		"x_zm_request_timestamp": at,
		"x_zm_signature": "v0=" + mac(f"v0:{at}:".encode() + body, key=key).hex(),
	}


def test_zooms_validation_is_signed_by_the_secret_that_has_proven_it(opened, monkeypatch):
	monkeypatch.setenv("OLD", "the-previous-secret-of-it")
	runtime = opened("Zoom", webhook_secret_old="env:OLD")
	body = json.dumps(
		{"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
	).encode()
	for key in (SECRET, "the-previous-secret-of-it"):
		answer = ask(runtime, body=body, content_type="application/json", **zoom(body, key))
		token = "qgg8vlvZRS6UYooatFL8Aw"
		expected = {"plainToken": token, "encryptedToken": mac(token.encode(), key=key).hex()}
		assert (answer.status, json.loads(answer.text)) == (200, expected)
	assert ask(runtime, body=body).status == 401, "nothing is signed for a stranger"
	assert rows(runtime) == []


def test_asanas_secret_is_taken_while_a_person_expects_it_and_once(opened):
	runtime = opened("Asana", secret="")
	toml = runtime.file.folder / "hub.toml"
	event = json.dumps(
		{"events": [{"action": "changed", "resource": {"gid": "1", "resource_type": "task"}}]}
	).encode()
	assert ask(runtime, x_hook_secret=NEW).reason == "secret_not_expected"
	expect_secret(runtime, "crm", minutes=15)
	for bad in ("short", "x" * 501, "with a blank " * 3, "ünïcode" * 5):
		assert ask(runtime, x_hook_secret=bad).reason == "secret_malformed"
	answer = ask(runtime, x_hook_secret=NEW)
	assert (answer.status, dict(answer.headers)) == (200, {"X-Hook-Secret": NEW})
	for other in (runtime, StandaloneRuntime(toml)):  # another process knows it as well
		assert ask(other, x_hook_secret=NEW).status == 200, "the answer may have been lost"
		assert ask(other, x_hook_secret="0" * 64).status == 401
		signed = ask(other, body=event, x_hook_signature=mac(event, key=NEW).hex())
		assert (signed.status, signed.reason) in ((200, "unrouted"), (200, "duplicate"))
		assert ask(other, body=event, x_hook_signature=mac(event).hex()).status == 401
	with pytest.raises(HubError, match="set already"):
		expect_secret(runtime, "crm")
	assert NEW not in json.dumps(rows(runtime)) and len(rows(runtime)) == 1
	heartbeat = b'{"events": []}'
	assert ask(runtime, body=heartbeat, x_hook_signature=mac(heartbeat, key=NEW).hex()).reason == "no_events"


def test_a_secret_that_comes_too_late_is_not_taken(opened):
	runtime = opened("Asana", secret="")
	expect_secret(runtime, "crm", minutes=-1)
	assert ask(runtime, x_hook_secret=NEW).reason == "secret_not_expected"
	assert runtime.secrets("crm").get("webhook_secret") is None


def test_of_32_askers_one_chooses_the_secret(opened):
	from concurrent.futures import ThreadPoolExecutor

	runtime = opened("Asana", secret="")
	expect_secret(runtime, "crm")
	toml = runtime.file.folder / "hub.toml"

	def offer(number: int) -> int:
		with StandaloneRuntime(toml) as one:
			return ask(one, x_hook_secret=f"{number:064}").status

	with ThreadPoolExecutor(16) as pool:
		told = list(pool.map(offer, range(32)))
	assert told.count(200) == 1 and set(told) == {200, 401}
	assert runtime.secrets("crm").get("webhook_secret") == f"{told.index(200):064}"


def test_a_secret_of_hub_toml_is_never_replaced(opened):
	runtime = opened("Asana")
	assert ask(runtime, x_hook_secret=NEW).status == 401
	with pytest.raises(HubError, match="set already"):
		expect_secret(runtime, "crm")


def test_a_secret_may_come_in_the_body(opened):
	by_body = {"handshake": "Secret Body", "handshake_value": "verification_token"}
	runtime = opened("HMAC", secret="", signature_header="X-Sig", **by_body)
	assert ask(runtime, body={"verification_token": NEW}).status == 401
	expect_secret(runtime, "crm")
	assert ask(runtime, body={"verification_token": NEW}).status == 200
	assert runtime.secrets("crm").get("webhook_secret") == NEW and rows(runtime) == []


HANDSHAKES = [
	(
		{
			"handshake": "Header",
			"handshake_value": "X-Challenge",
			"handshake_answer": '{"verification": {value}}',
		},
		{"method": "GET", "x_challenge": 'a"b'},
		'{"verification": "a\\"b"}',
	),
	(
		{
			"handshake": "Unsigned Body",
			"handshake_value": "challenge",
			"handshake_answer": '{"challenge": {value}}',
		},
		{"body": {"challenge": "c-1"}},
		'{"challenge": "c-1"}',
	),
	(
		{"handshake": "Query", "handshake_value": "hub.challenge"},
		{"method": "GET", "query": "hub.challenge=7"},
		"7",
	),
	(
		{"handshake": "Query", "handshake_value": "crc", "handshake_answer": "sha256={hmac}"},
		{"method": "GET", "query": "crc=abc"},
		"sha256=" + mac(b"abc").hex(),
	),
]


@pytest.mark.parametrize(("settings", "asked", "text"), HANDSHAKES)
def test_handshakes_by_settings(opened, settings, asked, text):
	runtime = opened("HMAC", signature_header="X-Sig", **settings)
	answer = ask(runtime, **asked)
	assert (answer.status, answer.text) == (200, text)
	assert rows(runtime) == []


def test_nothing_is_signed_for_a_stranger_that_could_be_an_event(opened):
	signs = {"handshake": "Query", "handshake_value": "crc", "handshake_answer": "{hmac}"}
	runtime = opened("HMAC", signature_header="X-Sig", **signs)
	for forged in ('{"id":1}', "a=1&b=2", "[1]", "a b", "x" * 129):
		assert ask(runtime, "GET", query="crc=" + quote(forged)).status == 401
	signature = ask(runtime, "GET", query="crc=a%3D").text
	for kind in (
		"application/json",
		"application/x-www-form-urlencoded",
		"text/plain",
		"",
		"application/xml",
	):
		assert ask(runtime, body=b"a=", content_type=kind, x_sig=signature).status in (400, 415)
	assert rows(runtime) == []


PROBLEMS = [
	({"signed_content": "{timestamp}"}, "signed_content"),
	({"signed_content": "{nothing}{body}"}, "signed_content"),
	({"signed_content": "{header}{body}"}, "signed_content"),
	({"signed_content": "{timestamp}{body}"}, "timestamp_header"),
	({"timestamp_header": "X-At"}, "signed_content"),
	({"signature_in": "Anywhere"}, "signature_in"),
	({"signature_in": "URL Path"}, "signature_in"),
	({"signature_header": ""}, "signature_header"),
	({"signature_separator": ","}, "signature_separator"),
	({"secret_encoding": "Rot13"}, "secret_encoding"),
	({"timestamp_unit": "Fortnights"}, "timestamp_unit"),
	({"signature_algorithm": "md5"}, "signature_algorithm"),
	({"signature_algorithm": "ed25519"}, "signature_algorithm"),
	({"signature_encoding": "base32"}, "signature_encoding"),
	({"handshake": "Telepathy"}, "handshake"),
	({"handshake": "Query"}, "handshake_value"),
	({"handshake": "Body", "handshake_value": "a["}, "handshake_value"),
	(
		{"handshake": "Unsigned Body", "handshake_value": "a", "handshake_answer": "{hmac}"},
		"handshake_answer",
	),
	(
		{
			"handshake": "Query",
			"handshake_value": "a",
			"handshake_answer": "{hmac}",
			"signed_content": "{body.token}",
		},
		"handshake_answer",
	),
	({"answer_with": "Silence"}, "answer_with"),
	({"answer_with": "Text"}, "answer_text"),
	({"answer_with": "Text", "answer_text": "x", "answer_type": "a b"}, "answer_type"),
	({"answer_headers": "Set-Cookie: a=1"}, "answer_headers"),
	({"answer_headers": "no header"}, "answer_headers"),
	({"answer_headers": "a b: c"}, "answer_headers"),
	({"webhook_scheme": "Public Key", "certificate_url": "{header.X-Cert}"}, "certificate_hosts"),
	(
		{"webhook_scheme": "Public Key", "certificate_url": "{header.X-Cert}", "certificate_hosts": "*"},
		"certificate_hosts",
	),
	(
		{
			"webhook_scheme": "Public Key",
			"certificate_url": "{header.X-Cert}",
			"certificate_hosts": "*.com, a.*",
		},
		"certificate_hosts",
	),
	(
		{
			"webhook_scheme": "Public Key",
			"certificate_url": "{header.X-Cert}",
			"certificate_hosts": "keys.example.com",
		},
		"signed_content",
	),
]


@pytest.mark.parametrize(("settings", "field"), PROBLEMS)
def test_settings_that_prove_nothing_are_refused_by_field(settings, field):
	config = IntegrationConfig("x", webhook_enabled=True, **{"webhook_scheme": "HMAC", **settings})
	known = Registered({}, (), lambda name: True, lambda name: "")
	assert field in [place for place, _said in endpoint_problems(config, [], known)]


@pytest.mark.parametrize("name", presets())
def test_each_preset_is_one_that_a_person_could_have_set(name):
	config = IntegrationConfig("x", webhook_enabled=True, webhook_scheme=name)
	known = Registered({}, (), lambda name: True, lambda name: "")
	assert list(endpoint_problems(config, [], known)) == []
	assert presets()[name].documentation.startswith("https://")


def test_what_a_person_sets_stands_and_what_proves_the_sender_is_the_presets():
	own = IntegrationConfig(
		"x",
		webhook_scheme="Zoom",
		signature_header="X-Mine",
		signed_content="{body}",
		event_id_path="payload.object.uuid",
		answer_with="Reason",
		headers_to_keep="X-Mine",
		webhook_tolerance=60,
	)
	found = filled(own)
	assert (found.signature_header, found.signed_content) == ("x-zm-signature", "v0:{timestamp}:{body}")
	assert (found.event_id_path, found.event_type_path, found.answer_with) == (
		"payload.object.uuid",
		"event",
		"Reason",
	)
	assert (found.webhook_tolerance, found.handshake) == (60, "Body")
	off = filled(IntegrationConfig("x", webhook_scheme="Zoom", handshake="None"))
	assert (off.handshake, off.handshake_value) == ("None", "")


TEMPLATES = [
	({"signed_content": "{timestamp}:{body}", "timestamp_header": "X-At"}, "{at}:{body}"),
	(
		{
			"signed_content": "{method}{url}{body}{timestamp}",
			"timestamp_header": "X-At",
			"timestamp_unit": "Milliseconds",
		},
		"POST{url}{body}{at}",
	),
	({"signed_content": "{url}{body}"}, "{url}{body}"),
	({"signed_content": "{path}?{query}|{body}"}, "/webhooks/crm?a=1&b=2|{body}"),
	({"signed_content": "{query.a}{body}"}, "1{body}"),
	({"signed_content": "{header.X-Request-Id}.{body}"}, "r-1.{body}"),
	({"signed_content": "{id}.{body}", "event_id_header": "X-Request-Id"}, "r-1.{body}"),
	(
		{
			"signed_content": "{body.data.n}-{body.id}-{timestamp}",
			"timestamp_header": "X-At",
			"timestamp_unit": "ISO 8601",
		},
		"7-e1-{at}",
	),
]


@pytest.mark.parametrize(("settings", "content"), TEMPLATES)
@pytest.mark.parametrize("public", ["", "https://shop.example.com/hooks/crm"])
def test_what_is_signed_is_a_template(opened, settings, content, public):
	runtime = opened(
		"HMAC",
		signature_header="X-Sig",
		signature_prefix="v1=",
		signature_separator="Comma",
		webhook_url=public,
		**settings,
	)
	body = json.dumps({"id": "e1", "data": {"n": 7}}).encode()
	at = now_as(settings.get("timestamp_unit", "Seconds"))
	url = f"{public or URL}?a=1&b=2"
	if public:
		content = content.replace("/webhooks/crm", "/hooks/crm")
	signed = content.replace("{body}", body.decode()).replace("{at}", at).replace("{url}", url)
	headers = {
		"x_at": at,
		"x_request_id": "r-1",
		"x_sig": f"v0=x, v1={mac(b'other').hex()},v1={mac(signed.encode()).hex()}",
	}
	query = "a=1&b=2"
	assert ask(runtime, body=body, query=query, **headers).status == 202
	for name in ("x_at", "x_request_id", "x_sig"):
		altered = {**headers, name: headers[name][:-1] + ("0" if headers[name][-1] != "0" else "1")}
		part = {"x_at": "{at}", "x_request_id": "r-1", "x_sig": ""}[name]
		if part in content and name != "x_at":
			assert ask(runtime, body=body, query=query, **altered).status == 401
	if "{body}" in content:
		assert ask(runtime, body=body + b" ", query=query, **headers).status == 401
	if "{url}" in content or "a=1" in content:
		assert ask(runtime, body=body, query="a=2&b=2", **headers).status == 401
	if "{at}" in content:
		assert (
			ask(runtime, body=body, query=query, **{k: v for k, v in headers.items() if k != "x_at"}).status
			== 401
		)


def public_text(key, raw: bool = False) -> str:
	if raw:
		return b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
	return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


ED, EC, RSA = (
	ed25519.Ed25519PrivateKey.generate(),
	generate_private_key(SECP256R1()),
	rsa.generate_private_key(65537, 2048),
)
KEYS = [
	("ed25519", public_text(ED), ED.sign),
	("sha256", public_text(ED, raw=True), ED.sign),
	("ecdsa-sha256", public_text(EC), lambda body: EC.sign(body, ECDSA(SHA256()))),
	("sha256", public_text(EC), lambda body: EC.sign(body, ECDSA(SHA256()))),
	("rsa-sha256", public_text(RSA), lambda body: RSA.sign(body, PKCS1v15(), SHA256())),
]


@pytest.mark.parametrize(("algorithm", "public", "sign"), KEYS, ids=range(len(KEYS)))
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_public_keys_of_each_kind_verify(opened, algorithm, public, sign, encoding):
	runtime = opened(
		"Public Key",
		public,
		signature_header="X-Sig",
		signature_algorithm=algorithm,
		signature_encoding=encoding,
	)
	body = b'{"id": "e1"}'
	text = (lambda raw: raw.hex()) if encoding == "hex" else b64
	assert ask(runtime, body=body, x_sig=text(sign(body))).status == 202
	assert ask(runtime, body=body + b" ", x_sig=text(sign(body))).status == 401
	# Who knows the public key signs nothing with it.
	assert ask(runtime, body=body, x_sig=text(mac(body, key=public))).status == 401
	for bad in ("", "zz", "ü", "A" * 2000):
		assert ask(runtime, body=body, x_sig=bad).status == 401


@pytest.mark.parametrize(
	("algorithm", "key"),
	[
		("ed25519", public_text(EC)),
		("rsa-sha256", public_text(ED)),
		("ecdsa-sha256", public_text(generate_private_key(SECP384R1()))),
		("rsa-sha256", public_text(rsa.generate_private_key(65537, 1024))),
		("sha256", "no key at all"),
	],
	ids=range(5),
)
def test_a_key_of_another_kind_is_said_to_be_one(opened, algorithm, key, caplog):
	runtime = opened("Public Key", key, signature_header="X-Sig", signature_algorithm=algorithm)
	assert ask(runtime, body=b'{"id": 1}', x_sig="00").reason == "not_configured"
	assert "public key" in caplog.text and key not in caplog.text


def test_a_token_in_the_path_or_the_query_is_shown_nowhere(opened, caplog):
	caplog.set_level(logging.DEBUG)
	runtime = opened("Token", signature_in="URL Path", event_id_path="id", event_type_path="event")
	assert ask(runtime, body={"id": "1"}, place=f"crm/{SECRET}").status == 202
	for place in ("crm", "crm/", "crm/guess", f"crm/{SECRET}/", f"crm/x/{SECRET}", f"nobody/{SECRET}"):
		assert ask(runtime, body={"id": "2"}, place=place).status in (401, 404)
	assert largest_body(runtime, f"crm/{SECRET}") == 5 * 1024 * 1024
	assert too_large(runtime, f"crm/{SECRET}", "POST").status == 413
	plain = opened("Token", signature_in="Query", signature_header="key")
	assert ask(plain, body={"id": "3"}, query=f"key={SECRET}").status == 202
	assert ask(plain, body={"id": "1"}, place=f"crm/{SECRET}").status == 404
	for one in (runtime, plain):
		for table in ("Webhook Log", "Integration Error Log"):
			assert SECRET not in json.dumps(one.db.query(f"SELECT * FROM `tab{table}`"))
	assert SECRET not in caplog.text


def test_answers_by_settings(opened):
	body = b'{"id": "e1", "event": "x"}'
	settings = {
		"answer_with": "Text",
		"answer_text": "<Response/>",
		"answer_type": "text/xml",
		"answer_200": True,
	}
	runtime = opened("HMAC", signature_header="X-Sig", answer_headers="X-Ok: yes\nX-More: 1", **settings)
	answer = ask(runtime, body=body, x_sig=mac(body).hex())
	told = dict(answer.all_headers)
	assert (answer.status, answer.text, told["Content-Type"], told["X-Ok"]) == (
		200,
		"<Response/>",
		"text/xml",
		"yes",
	)
	assert len(rows(runtime)) == 1
	refused = ask(runtime, body=body, x_sig="00")
	assert (refused.status, json.loads(refused.text)) == (401, {"status": "signature_wrong"})
	silent = opened("HMAC", signature_header="X-Sig", answer_with="Nothing")
	body = b'{"id": "e2", "event": "x"}'
	for signature, status in ((mac(body).hex(), 202), ("00", 401)):
		answer = ask(silent, body=body, x_sig=signature)
		assert (answer.status, answer.text) == (status, "")


def test_an_event_that_could_not_be_committed_is_never_acknowledged(opened, monkeypatch):
	body = b'{"id": "e1", "event": "x"}'
	runtime = opened(
		"HMAC", signature_header="X-Sig", answer_200=True, answer_with="Text", answer_text="[accepted]"
	)

	def fails(runtime, events):
		raise OSError("the disk is full")

	request = Request("crm", "POST", {"x-sig": mac(body).hex()}, body, URL)
	answer = receive(runtime, request, fails)
	assert (answer.status, "accepted" in answer.text) == (503, False)


def test_an_empty_body_is_an_event_only_where_that_is_set(opened):
	token = {"signature_header": "X-Token", "event_id_header": "X-Id"}
	assert ask(opened("Token", **token), x_token=SECRET, x_id="1").status == 400
	runtime = opened("Token", empty_bodies=True, **token)
	assert [ask(runtime, x_token=SECRET, x_id=n).reason for n in "112"] == [
		"unrouted",
		"duplicate",
		"unrouted",
	]
	assert ask(runtime, x_token="guess", x_id="3").status == 401


class _Pem(BaseHTTPRequestHandler):
	wbufsize = (
		-1
	)  # headers and body in one piece: what stands before this server passes on one piece an answer

	def do_GET(self) -> None:
		status, body = {
			"/ok": (200, b"a certificate"),
			"/big": (200, b"x" * 200_000),
			"/away": (500, b""),
		}.get(self.path, (404, b""))
		self.send_response(302 if self.path == "/elsewhere" else status)
		if self.path == "/elsewhere":
			self.send_header("Location", "/ok")
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *given) -> None: ...


def test_certificates_are_fetched_through_the_guard_by_tls_and_not_too_often(tmp_path, monkeypatch):
	server = HTTPServer(("127.0.0.1", 0), _Pem)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	pem, key = self_signed(tmp_path, "localhost")
	config, here = IntegrationConfig("x"), ["localhost:*"]
	certificates._fetches.clear()
	with tls_in_front_of(f"http://127.0.0.1:{server.server_port}", pem, key) as port:
		url = f"https://localhost:{port}"
		with pytest.raises(CannotVerify):  # nobody vouches for this certificate
			certificates.fetched(f"{url}/ok", config, here)
		monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(pem))
		assert certificates.fetched(f"{url}/ok", config, here) == b"a certificate"
		assert certificates.fetched(f"{url}/none", config, here) is None
		assert certificates.fetched(f"{url}/elsewhere", config, here) is None
		for path, allowed in (("/ok", []), ("/big", here), ("/away", here)):
			with pytest.raises(CannotVerify):
				certificates.fetched(url + path, config, allowed)
		certificates._fetches["x"] = [time.monotonic()] * 30
		with pytest.raises(CannotVerify):
			certificates.fetched(f"{url}/ok", config, here)
		beside = IntegrationConfig("y")
		assert certificates.fetched(f"{url}/ok", beside, here), (
			"who floods one integration stops none beside it"
		)
	certificates._fetches.clear()
	server.shutdown()


@pytest.mark.parametrize(
	("url", "fits"),
	[
		("https://sns.eu-west-1.amazonaws.com/1.pem", True),
		("https://SNS.eu-west-1.amazonaws.com:443/1.pem", True),
		("https://sns.a.b.amazonaws.com/1.pem", False),
		("https://sns..amazonaws.com/1.pem", False),
		("https://sns.eu-west-1.amazonaws.com:8443/1.pem", False),
		("https://sns.eu-west-1.amazonaws.com.evil.example/1.pem", False),
		("https://evil.example/sns.eu-west-1.amazonaws.com", False),
		("https://sns.eu-west-1.amazonaws.com\\@evil.example/", False),
		("https://evil.example#sns.eu-west-1.amazonaws.com", False),
		("https://user@sns.eu-west-1.amazonaws.com/", False),
		("http://sns.eu-west-1.amazonaws.com/1.pem", False),
		("https://sns.eu-west-1.amazonaws.com\n/1.pem", False),
		("https://sns.eu-west-1.amazonaws.cöm/1.pem", False),
		("", False),
		("//sns.eu-west-1.amazonaws.com/1.pem", False),
		("https://[::1", False),
	],
)
def test_a_pinned_host_is_exactly_that(url, fits):
	assert certificates.is_of(url, ["sns.*.amazonaws.com"]) is fits


def test_the_command_line_lists_senders_and_opens_an_integration(opened):
	runtime = opened("Asana", secret="")
	toml = str(runtime.file.folder / "hub.toml")

	def run(*words: str) -> Result:
		return CliRunner().invoke(integration_hub, ["--config", toml, *words])

	listed = run("senders").output.splitlines()
	assert [line.split("  ")[0].strip() for line in listed] == list(presets())
	assert "X-Hub-Signature-256" in run("senders", "github").output
	assert run("senders", "nobody at all").exit_code == 1
	assert run("accept", "crm").exit_code == 0
	assert ask(runtime, x_hook_secret=NEW).status == 200
	again = run("accept", "crm")
	assert again.exit_code == 1 and "set already" in again.output and NEW not in again.output
	assert run("accept", "crm", "--forget").exit_code == 0
	assert ask(runtime, x_hook_secret="f" * 64).status == 200


def test_no_secret_is_expected_of_a_sender_that_chooses_none(opened):
	toml = str(opened("GitHub").file.folder / "hub.toml")
	refused = CliRunner().invoke(integration_hub, ["--config", toml, "accept", "crm"])
	assert refused.exit_code == 1 and "does not choose" in refused.output


def test_a_body_without_any_event_proves_nothing(opened):
	"""Where each event is proven for itself, a body without events is proven by nobody."""
	empty = {"items": [], "challenge": '{"items":[]}'}
	signs = {"handshake": "Body", "handshake_value": "challenge", "handshake_answer": "{hmac}"}
	for scheme, more in (("HMAC", signs), ("Token", {})):
		runtime = opened(scheme, signature_in="Body", signature_header="sig", events_path="items[]", **more)
		assert ask(runtime, body=empty).status == 401


@pytest.mark.parametrize(
	("settings", "token"),
	[
		({}, SECRET),
		({}, f" {SECRET}\n"),
		({"signature_prefix": "Bearer "}, f"Bearer {SECRET}"),
		({"signature_separator": "Comma"}, f"old, {SECRET}"),
		({"signature_separator": "Comma", "signature_prefix": "v1="}, f"v1={SECRET},v1=old"),
	],
)
def test_a_token_in_the_body_is_masked_however_it_is_written(opened, settings, token):
	runtime = opened("Token", signature_in="Body", signature_header="auth", event_id_path="id", **settings)
	assert ask(runtime, body={"id": "1", "auth": token, "copy": [token], "n": 1}).status == 202
	assert SECRET not in json.dumps(rows(runtime))
	assert json.loads(rows(runtime)[0]["payload"])["n"] == 1


def test_a_token_of_digits_is_masked_in_the_body(opened):
	runtime = opened("Token", "12345678901234567", signature_in="Body", signature_header="auth")
	assert ask(runtime, body={"auth": 12345678901234567}).status == 202
	assert "12345678901234567" not in json.dumps(rows(runtime))


def test_a_token_in_the_path_is_shown_nowhere_while_the_settings_are_wrong(opened, caplog):
	runtime = opened("Token", signature_in="URL Path")
	runtime.db.execute(
		"UPDATE `tabIntegration Settings` SET `webhook_scheme` = 'Nobody' WHERE `name` = 'crm'"
	)
	for place in (f"crm/{SECRET}", "crm/guess-1", "crm/guess-2"):
		assert ask(runtime, body={"id": "1"}, place=place).reason == "not_configured"
	causes = runtime.db.query("SELECT `integration` FROM `tabIntegration Error Log`")
	assert causes == [{"integration": "crm"}]
	assert SECRET not in caplog.text


@pytest.mark.parametrize(
	("settings", "headers", "asked", "body"),
	[
		(
			{"signed_content": "{timestamp}{body}", "timestamp_header": "X-At", "empty_bodies": True},
			{"x_id": "1"},
			"",
			b"",
		),
		(
			{"event_format": "CloudEvents"},
			{"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/a", "ce_type": "x"},
			"abc",
			b"abc",
		),
	],
)
def test_what_is_signed_for_a_stranger_is_no_event_of_any_form(opened, settings, headers, asked, body):
	signs = {"handshake": "Query", "handshake_value": "crc", "handshake_answer": "{hmac}"}
	runtime = opened("HMAC", signature_header="X-Sig", **signs, **settings)
	at = now_as("Seconds") if "timestamp_header" in settings else ""
	signature = ask(runtime, "GET", query=f"crc={at}{asked}").text
	assert len(signature) == 64
	answer = ask(runtime, body=body, content_type="text/plain", x_sig=signature, x_at=at, **headers)
	assert (answer.status, rows(runtime)) == (401, [])


def test_a_crc_of_x_is_no_event_of_any_form(opened):
	runtime = opened("X", event_format="CloudEvents")
	signature = json.loads(ask(runtime, "GET", query="crc_token=abc").text)["response_token"]
	about = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/a", "ce_type": "x"}
	answer = ask(
		runtime, body=b"abc", content_type="text/plain", x_twitter_webhooks_signature=signature, **about
	)
	assert (answer.status, rows(runtime)) == (401, [])


class OfAnApp(HMACScheme):
	"""A scheme as another app would derive one."""


def test_a_scheme_of_another_app_takes_no_form_that_it_signs_for_anybody():
	signs = {"handshake": "Query", "handshake_value": "crc", "handshake_answer": "{hmac}"}
	config = IntegrationConfig("x", webhook_scheme="Own", **signs)
	scheme = scheme_for(config, {"Own": "tests.test_handshakes.OfAnApp"})
	assert (scheme.forms, scheme.signs_challenges) == (False, True)


def test_what_is_proven_in_a_body_is_what_the_event_is_read_of(opened):
	runtime = opened(
		"Token",
		signature_in="Body",
		signature_header="auth",
		events_path="data.items[]",
		event_format="CloudEvents",
	)
	proven = {"auth": SECRET, "n": 1}
	body = {"data": {"items": [proven]}, "items": [{"n": "forged"}]}
	about = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/a", "ce_type": "x"}
	assert ask(runtime, body=body, **about).status == 401
	assert rows(runtime) == []


@pytest.mark.parametrize(
	("settings", "unsigned"),
	[
		({}, "time"),
		({"events_path": "items[]"}, "type, time"),
		({"signed_content": "{body}"}, ""),
		({"signed_content": "{crc32}"}, "type, time"),
	],
)
def test_what_a_template_leaves_out_of_an_event_is_not_signed(opened, settings, unsigned):
	places = {"event_id_path": "id", "event_type_path": "kind", "event_time_path": "at"}
	settings = {"signed_content": "{body.kind}", **places, **settings}
	runtime = opened("HMAC", signature_header="X-Sig", **settings)
	event = {"id": "1", "kind": "gone", "at": "2026-01-02"}
	body = json.dumps({**event, "items": [event]}).encode()
	content = {"{body}": body, "{crc32}": str(zlib.crc32(body)).encode(), "{body.kind}": b"gone"}
	assert ask(runtime, body=body, x_sig=mac(content[settings["signed_content"]]).hex()).status == 202
	assert [row["unsigned"] or "" for row in rows(runtime)] == [unsigned]
