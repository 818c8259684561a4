"""Each sender's delivery, signed here as its documentation says and by nothing of ours: proven, split, answered, routed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import slack_sdk.signature
import standardwebhooks
import stripe
import twilio.request_validator
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from integration_hub.runtime.standalone.runtime import StandaloneRuntime
from integration_hub.webhooks import rejections
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.group_commit import GroupCommit
from integration_hub.webhooks.messages import Request, Response, first_values
from integration_hub.webhooks.presets import presets
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.schemes import certificates

SECRET = "a-secret-of-some-length"
HEX_SECRET = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
URL = "https://hub.example.com/webhooks/crm"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
CERTIFICATE_URLS = (
	"https://api.paypal.com/v1/notifications/certs/CERT-1",
	"https://sns.eu-west-1.amazonaws.com/1.pem",
)

Headers = dict[str, str]


def b64(raw: bytes) -> str:
	return base64.b64encode(raw).decode()


def mac(content: bytes, digest: str = "sha256", key: bytes = SECRET.encode()) -> bytes:
	return hmac.new(key, content, getattr(hashlib, digest)).digest()


def now() -> str:
	return str(int(time.time()))


def iso() -> str:
	return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def plain_hex(header: str, prefix: str = "") -> Callable[[bytes], Headers]:
	return lambda body: {header: prefix + mac(body).hex()}


def plain_b64(header: str) -> Callable[[bytes], Headers]:
	return lambda body: {header: b64(mac(body))}


def token(header: str) -> Callable[[bytes], Headers]:
	return lambda _body: {header: SECRET}


def unsigned(_body: bytes) -> Headers:
	return {}


def by_stripe(body: bytes) -> Headers:
	at = now()
	signature = stripe.WebhookSignature._compute_signature(f"{at}.{body.decode('latin-1')}", SECRET)
	return {"stripe-signature": f"t={at},v1={'0' * 64},v0=ignored,v1={signature}"}


def by_standardwebhooks(body: bytes) -> Headers:
	library = standardwebhooks.Webhook(b64(SECRET.encode()))
	at = datetime.now(timezone.utc)
	signature = library.sign("msg_1", at, body.decode("latin-1"))
	return {
		"webhook-id": "msg_1",
		"webhook-timestamp": str(int(at.timestamp())),
		"webhook-signature": f"v1,AAAA {signature}",
	}


def by_slack_sdk(body: bytes) -> Headers:
	at = now()
	signature = slack_sdk.signature.SignatureVerifier(SECRET).generate_signature(timestamp=at, body=body)
	return {"x-slack-request-timestamp": at, "x-slack-signature": signature}


def zoom(body: bytes) -> Headers:
	at = now()
	return {"x-zm-request-timestamp": at, "x-zm-signature": "v0=" + mac(f"v0:{at}:".encode() + body).hex()}


def box(body: bytes) -> Headers:
	at = iso()
	other = b64(mac(body + at.encode(), key=b"the other key"))
	return {
		"box-delivery-timestamp": at,
		"box-signature-primary": other,
		"box-signature-secondary": b64(mac(body + at.encode())),
	}


def docusign(body: bytes) -> Headers:
	return {
		"x-docusign-signature-1": b64(mac(body, key=b"another")),
		"x-docusign-signature-2": b64(mac(body)),
	}


def trello(body: bytes) -> Headers:
	return {"x-trello-webhook": b64(mac(body + URL.encode(), "sha1"))}


def by_twilio(body: bytes) -> Headers:
	validator = twilio.request_validator.RequestValidator(SECRET)
	return {"x-twilio-signature": validator.compute_signature(URL, first_values(body.decode("latin-1")))}


EC_KEY = ec.generate_private_key(ec.SECP256R1())
EC_PUBLIC = b64(EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
RSA_KEY = rsa.generate_private_key(65537, 2048)


def sendgrid(body: bytes) -> Headers:
	at = now()
	signature = EC_KEY.sign(at.encode() + body, ec.ECDSA(hashes.SHA256()))
	return {
		"x-twilio-email-event-webhook-timestamp": at,
		"x-twilio-email-event-webhook-signature": b64(signature),
	}


def paypal(body: bytes) -> Headers:
	at = iso()
	content = f"tr-1|{at}|{SECRET}|{zlib.crc32(body)}".encode()
	return {
		"paypal-transmission-id": "tr-1",
		"paypal-transmission-time": at,
		"paypal-cert-url": CERTIFICATE_URLS[0],
		"paypal-auth-algo": "SHA256withRSA",
		"paypal-transmission-sig": b64(RSA_KEY.sign(content, padding.PKCS1v15(), hashes.SHA256())),
	}


def mailgun() -> dict:
	at, nonce = now(), "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
	signature = {"timestamp": at, "token": nonce, "signature": mac(f"{at}{nonce}".encode()).hex()}
	data = {"id": "mg-1", "event": "delivered", "timestamp": 1767323045.5}
	return {"signature": signature, "event-data": data}


def adyen(reference: str, **more: Any) -> dict:
	item = {
		"pspReference": reference,
		"merchantAccountCode": "Shop",
		"merchantReference": "order:7\\x",
		"amount": {"value": 1130, "currency": "EUR"},
		"eventCode": "AUTHORISATION",
		"eventDate": "2026-01-02T03:04:05+01:00",
		"success": "true",
		**more,
	}
	amount = item["amount"]
	content = (
		f"{item['pspReference']}:{item.get('originalReference', '')}:{item['merchantAccountCode']}:"
		f"{item['merchantReference']}:{amount['value']}:{amount['currency']}:{item['eventCode']}:{item['success']}"
	)
	signature = b64(mac(content.encode(), key=bytes.fromhex(HEX_SECRET)))
	return {"NotificationRequestItem": {**item, "additionalData": {"hmacSignature": signature}}}


def sns(kind: str = "Notification", version: str = "2", **more: Any) -> dict:
	message = {
		"Type": kind,
		"MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
		"TopicArn": TOPIC,
		"Message": '{"order": 7}',
		"Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
		"SignatureVersion": version,
		"SigningCertURL": CERTIFICATE_URLS[1],
		**more,
	}
	unsigned_names = ("SignatureVersion", "SigningCertURL", "UnsubscribeURL")
	lines = [f"{name}\n{message[name]}\n" for name in sorted(message) if name not in unsigned_names]
	digest = hashes.SHA256() if version == "2" else hashes.SHA1()
	return {**message, "Signature": b64(RSA_KEY.sign("".join(lines).encode(), padding.PKCS1v15(), digest))}


def certificate(days: int = 1) -> bytes:
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sender")])
	at = datetime.now(timezone.utc) + timedelta(days=days - 1)
	made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA_KEY.public_key())
	made = (
		made.serial_number(1)
		.not_valid_before(at - timedelta(hours=1))
		.not_valid_after(at + timedelta(hours=12))
	)
	return made.sign(RSA_KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(autouse=True)
def hosts_of_senders(monkeypatch):
	"""Stand in for the network: what certificates and confirmations are fetched from. Returns the URLs that were."""
	asked: list[str] = []

	def fetched(url, config, allowed):
		asked.append(url)
		return (
			certificate() if url in CERTIFICATE_URLS else b"<ok/>" if "ConfirmSubscription" in url else None
		)

	certificates._kept.clear()
	rejections._causes.clear()
	monkeypatch.setattr(certificates, "fetched", fetched)
	monkeypatch.setattr("integration_hub.webhooks.schemes.amazon_sns.fetched", fetched)
	yield asked
	certificates._kept.clear()


@dataclass
class Sent:
	"""One delivery of a sender, and the id ("" for one made here, * for a hash) and type of each of its events."""

	preset: str
	sign: Callable[[bytes], Headers]
	body: Any
	events: list[tuple[str, str]]
	headers: Headers = field(default_factory=dict)
	kind: str = JSON
	secret: str = SECRET
	query: str = ""
	answer: str = '{"status": "unrouted"}'
	status: int = 202
	covers: bool = True  # does the signature cover each byte of the body?

	@property
	def raw(self) -> bytes:
		made = self.body() if callable(self.body) else self.body
		return made if isinstance(made, bytes) else json.dumps(made).encode()

	def request(self) -> Request:
		raw = self.raw
		headers = {"content-type": self.kind, **self.headers, **self.sign(raw)}
		url = f"{URL}?{self.query}" if self.query else URL
		return Request("crm", "POST", headers, raw, url, first_values(self.query))


GRAPH = {"subscriptionId": "s1", "clientState": SECRET, "changeType": "updated", "resourceData": {"id": "m1"}}
XERO = {
	"resourceId": "r1",
	"eventDateUtc": "2026-01-02T03:04:05.000",
	"eventType": "CREATE",
	"eventCategory": "INVOICE",
}
CHANGE = {
	"action": "changed",
	"created_at": "2026-01-02T03:04:05.000Z",
	"resource": {"gid": "7", "resource_type": "task"},
}
GRID = {"id": "e1", "eventType": "Blob.Created", "eventTime": "2026-01-02T03:04:05Z", "data": {"n": 1}}
THIN = {
	"id": "evt_t",
	"type": "v1.billing.meter.error",
	"object": "v2.core.event",
	"related_object": {"id": "m"},
}
INTERACTION = urlencode({"payload": json.dumps({"type": "block_actions", "trigger_id": "1.2.b"})}).encode()

SENDERS = [
	Sent(
		"GitHub",
		plain_hex("x-hub-signature-256", "sha256="),
		{"issue": {"id": 1}},
		[("d-1", "issues")],
		{"x-github-delivery": "d-1", "x-github-event": "issues"},
	),
	Sent(
		"GitLab",
		token("x-gitlab-token"),
		{"object_kind": "push", "object_attributes": {"id": 1}},
		[("k-1", "push")],
		{"idempotency-key": "k-1", "x-gitlab-event-uuid": "u-1"},
		covers=False,
	),
	Sent(
		"Bitbucket",
		plain_hex("x-hub-signature", "sha256="),
		{"push": {}},
		[("u-1", "repo:push")],
		{"x-request-uuid": "u-1", "x-event-key": "repo:push"},
	),
	Sent(
		"Stripe",
		by_stripe,
		{"id": "evt_1", "type": "invoice.paid", "data": {"object": {}}},
		[("evt_1", "invoice.paid")],
	),
	Sent(
		"Stripe Connect",
		by_stripe,
		{"id": "evt_1", "account": "acct_1", "type": "invoice.paid"},
		[("acct_1 | evt_1", "invoice.paid")],
	),
	Sent("Stripe Thin Events", by_stripe, THIN, [("evt_t", "v1.billing.meter.error")]),
	Sent(
		"Shopify",
		plain_b64("x-shopify-hmac-sha256"),
		{"id": 7},
		[("e-1", "orders/paid")],
		{"x-shopify-event-id": "e-1", "x-shopify-topic": "orders/paid"},
	),
	Sent(
		"WooCommerce",
		plain_b64("x-wc-webhook-signature"),
		{"id": 7},
		[("w-1", "order.created")],
		{"x-wc-webhook-delivery-id": "w-1", "x-wc-webhook-topic": "order.created"},
	),
	Sent(
		"BigCommerce",
		by_standardwebhooks,
		{"scope": "store/order/created", "data": {"type": "order", "id": 7}},
		[("msg_1", "store/order/created")],
		status=200,
	),
	Sent(
		"PayPal", paypal, {"id": "WH-1", "event_type": "PAYMENT.SALE"}, [("WH-1", "PAYMENT.SALE")], status=200
	),
	Sent(
		"Adyen",
		unsigned,
		{
			"live": "false",
			"notificationItems": [adyen("p-1"), adyen("p-2", eventCode="REFUND", originalReference="p-1")],
		},
		[("AUTHORISATION | p-1 | true", "AUTHORISATION"), ("REFUND | p-2 | true", "REFUND")],
		secret=HEX_SECRET,
		answer="[accepted]",
		status=200,
		covers=False,
	),
	Sent("Mailgun", unsigned, mailgun, [("mg-1", "delivered")], status=200, covers=False),
	Sent(
		"SendGrid",
		sendgrid,
		[{"sg_event_id": "s-1", "event": "open"}, {"sg_event_id": "s-2", "event": "click"}],
		[("s-1", "open"), ("s-2", "click")],
		secret=EC_PUBLIC,
	),
	Sent(
		"Twilio",
		by_twilio,
		urlencode({"MessageSid": "SM1", "MessageStatus": "sent"}).encode(),
		[("t-1", "sent")],
		{"i-twilio-idempotency-token": "t-1"},
		kind=FORM,
		answer="<Response/>",
		status=200,
	),
	Sent(
		"Slack",
		by_slack_sdk,
		{"event_id": "Ev1", "event": {"type": "app_mention"}},
		[("Ev1", "app_mention")],
		answer="",
		status=200,
	),
	Sent(
		"Slack",
		by_slack_sdk,
		b"command=%2Forder&text=7&trigger_id=1.2.a",
		[("1.2.a", "/order")],
		kind=FORM,
		answer="",
		status=200,
	),
	Sent("Slack", by_slack_sdk, INTERACTION, [("1.2.b", "block_actions")], kind=FORM, answer="", status=200),
	Sent(
		"Zoom",
		zoom,
		{"event": "meeting.started", "event_ts": 1767323045000},
		[("*", "meeting.started")],
		status=200,
	),
	Sent(
		"DocuSign",
		docusign,
		{
			"event": "envelope-sent",
			"generatedDateTime": "2026-01-02T03:04:05Z",
			"data": {"envelopeId": "e-1"},
		},
		[("e-1 | envelope-sent | 2026-01-02T03:04:05Z", "envelope-sent")],
		status=200,
	),
	Sent(
		"Dropbox",
		plain_hex("x-dropbox-signature"),
		{"list_folder": {"accounts": ["dbid:A"]}},
		[("", "list_folder")],
	),
	Sent(
		"Box",
		box,
		{"id": "b-1", "trigger": "FILE.UPLOADED", "source": {"id": "f"}},
		[("b-1", "FILE.UPLOADED")],
	),
	Sent(
		"Asana",
		plain_hex("x-hook-signature"),
		{"events": [CHANGE, {**CHANGE, "action": "deleted"}]},
		[("*", "task.changed"), ("*", "task.deleted")],
		status=200,
	),
	Sent(
		"Trello", trello, {"action": {"id": "a-1", "type": "updateCard"}}, [("a-1", "updateCard")], status=200
	),
	Sent(
		"Amazon SNS",
		unsigned,
		sns,
		[("22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "Notification")],
		secret=TOPIC,
		covers=False,
	),
	Sent(
		"Amazon SNS",
		unsigned,
		lambda: sns(version="1", Subject="Order"),
		[("22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "Notification")],
		kind="text/plain; charset=UTF-8",
		secret=TOPIC,
		covers=False,
	),
	Sent(
		"Azure Event Grid",
		unsigned,
		[GRID, {**GRID, "id": "e2"}],
		[("e1", "Blob.Created"), ("e2", "Blob.Created")],
		query=f"code={quote(SECRET)}",
		covers=False,
	),
	Sent(
		"Microsoft Graph",
		unsigned,
		{"value": [GRAPH, {**GRAPH, "changeType": "deleted"}]},
		[("", "updated"), ("", "deleted")],
		covers=False,
	),
	Sent(
		"Google Push",
		token("x-goog-channel-token"),
		b"",
		[("ch-1 | 10", "exists")],
		{"x-goog-channel-id": "ch-1", "x-goog-message-number": "10", "x-goog-resource-state": "exists"},
		covers=False,
	),
	Sent(
		"Xero",
		plain_b64("x-xero-signature"),
		{"events": [XERO, {**XERO, "resourceId": "r2"}], "entropy": "x"},
		[(f"{r} | CREATE | 2026-01-02T03:04:05.000", "INVOICE.CREATE") for r in ("r1", "r2")],
		answer="",
		status=200,
	),
]
NAMES = [f"{number}-{sent.preset}" for number, sent in enumerate(SENDERS)]
OURS = {sent.preset for sent in SENDERS}
each_sender = pytest.mark.parametrize("sent", SENDERS, ids=NAMES)


@pytest.fixture
def runtime_for(make_runtime, monkeypatch):
	"""Give a function that opens a runtime whose integration has a preset and its secret; more: lines of its table."""

	def open_for(preset: str, secret: str = SECRET, more: str = "") -> StandaloneRuntime:
		monkeypatch.setenv("CRM_WEBHOOK_SECRET", secret)
		settled = '\nevent_type_path = "event"\nevent_id_path = "id"\n'
		return make_runtime((settled, f'\nwebhook_scheme = "{preset}"\n{more}'))

	return open_for


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


@each_sender
def test_a_delivery_is_proven_split_and_answered_as_its_sender_expects(runtime_for, sent):
	runtime = runtime_for(sent.preset, sent.secret)
	answer = receive(runtime, sent.request())
	assert (answer.status, answer.reason, answer.text) == (sent.status, "unrouted", sent.answer)
	assert dict(answer.all_headers)["Content-Length"] == str(len(sent.answer))
	found = rows(runtime)
	assert [row["event_type"] for row in found] == [kind for _id, kind in sent.events]
	for row, (event_id, _kind) in zip(found, sent.events, strict=True):
		assert event_id in ("", row["event_id"]) or (event_id == "*" and len(row["event_id"]) == 64)
		assert SECRET not in json.dumps(row) and HEX_SECRET not in json.dumps(row)
	again = receive(runtime, sent.request())
	made_here = not sent.events[0][0]
	fresh = made_here or sent.preset in ("Mailgun", "Amazon SNS")  # whose bodies hold the time of signing
	assert again.reason in (("unrouted", "conflict", "duplicate") if fresh else ("duplicate",))
	assert again.status == (202 if made_here else again.status)


@each_sender
def test_a_routed_event_is_handled(runtime_for, sent):
	routes = '\n[[integration.crm.routes]]\nevent_pattern = "*"\naction = "Ignore"\n'
	runtime = runtime_for(sent.preset, sent.secret)
	toml = runtime.file.folder / "hub.toml"
	toml.write_text(toml.read_text() + routes)
	with StandaloneRuntime(toml) as routed:
		answer = receive(routed, sent.request())
		assert (answer.status, answer.reason) == (200, "received")
		drain(routed, "crm")
		assert {row["status"] for row in rows(routed)} == {"Completed"}


def flipped(body: bytes, place: int) -> bytes:
	return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


@each_sender
def test_each_altered_byte_is_refused(runtime_for, sent):
	runtime = runtime_for(sent.preset, sent.secret)
	request = sent.request()
	proofs = sent.sign(request.body)
	if sent.covers:
		for place in range(len(request.body)):
			assert receive(runtime, replace(request, body=flipped(request.body, place))).status == 401
		assert receive(runtime, replace(request, body=b"")).status == 401
		assert receive(runtime, replace(request, body=request.body + b" ")).status == 401
	for name in proofs:
		if name in ("webhook-id", "paypal-auth-algo"):
			continue
		without = {key: value for key, value in request.headers.items() if key != name}
		alone = name not in ("box-signature-primary", "x-docusign-signature-1")  # the other one is right
		assert receive(runtime, replace(request, headers=without)).status == (401 if alone else sent.status)
	assert all(row["status"] == "Unrouted" for row in rows(runtime))


@each_sender
def test_another_secret_proves_nothing(runtime_for, sent):
	other = {
		HEX_SECRET: "00" * 32,
		TOPIC: TOPIC + "2",
		EC_PUBLIC: b64(
			ec.generate_private_key(ec.SECP256R1())
			.public_key()
			.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
		),
	}.get(sent.secret, "another-secret-of-some-length")
	runtime = runtime_for(sent.preset, other)
	assert receive(runtime, sent.request()).status == 401
	assert rows(runtime) == []


SIGNED_ITEM = (
	("pspReference", "p-9"),
	("originalReference", "p-9"),
	("merchantAccountCode", "Other"),
	("merchantReference", "order:8"),
	("amount", {"value": 1131, "currency": "EUR"}),
	("amount", {"value": 1130, "currency": "USD"}),
	("eventCode", "REFUND"),
	("success", "false"),
	("additionalData", {}),
	("additionalData", {"hmacSignature": ""}),
)


@pytest.mark.parametrize(("name", "value"), SIGNED_ITEM)
def test_adyen_signs_eight_fields_of_each_item(runtime_for, name, value):
	runtime = runtime_for("Adyen", HEX_SECRET)
	forged = adyen("p-2")
	forged["NotificationRequestItem"][name] = value
	body = json.dumps({"notificationItems": [adyen("p-1"), forged]}).encode()
	assert receive(runtime, Request("crm", "POST", {"content-type": JSON}, body, URL)).status == 401
	assert rows(runtime) == [], "not even the item that is proven"


def test_no_item_goes_without_its_proof(runtime_for):
	runtime = runtime_for("Microsoft Graph")
	bare = {name: value for name, value in GRAPH.items() if name != "clientState"}
	for second in (
		bare,
		{**GRAPH, "clientState": "guess"},
		{**GRAPH, "clientState": ""},
		{**GRAPH, "clientState": [SECRET]},
		7,
	):
		body = json.dumps({"value": [GRAPH, second]}).encode()
		assert receive(runtime, Request("crm", "POST", {"content-type": JSON}, body, URL)).status == 401
	assert rows(runtime) == []


@pytest.mark.parametrize("sent", SENDERS, ids=NAMES)
def test_what_a_signature_leaves_out_of_a_body_is_known_to_be_unsigned(runtime_for, sent):
	"""Mailgun signs a token, PayPal a checksum that another body may have, Adyen eight fields of each item."""
	runtime = runtime_for(sent.preset, sent.secret)
	receive(runtime, sent.request())
	told = {row["unsigned"] for row in rows(runtime)}
	parts = {"Mailgun": {"type, time"}, "PayPal": {"type, time"}, "Adyen": {"time"}}
	if sent.preset in parts:
		assert told == parts[sent.preset]
	elif not presets()[sent.preset].places.type_headers:
		assert not any("type" in names for names in told)


def test_another_body_under_mailguns_signature_deletes_nothing_that_is_there(runtime_for):
	routes = '\n[[integration.crm.routes]]\naction = "Delete Record"\nstream = "customers-full"\nrecord_path = "@"\n'
	runtime = runtime_for("Mailgun")
	toml = runtime.file.folder / "hub.toml"
	first = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
	toml.write_text(toml.read_text().replace(first, routes + first, 1))
	with StandaloneRuntime(toml) as routed:
		forged = {**mailgun(), "event-data": {"id": "forged", "event": "gone"}}
		body = json.dumps({**forged, "id": "CUST-000001"}).encode()
		assert receive(routed, Request("crm", "POST", {"content-type": JSON}, body, URL)).reason == "received"
		drain(routed, "crm")
		assert [row["status"] for row in rows(routed)] == ["Conflict"]


@pytest.mark.parametrize("name", ["timestamp", "token", "signature"])
def test_mailgun_signs_time_and_token(runtime_for, name):
	runtime = runtime_for("Mailgun")
	for value in ("1", "", None, {}, "x" * 5000):
		body = mailgun()
		body["signature"][name] = value
		raw = json.dumps(body).encode()
		assert receive(runtime, Request("crm", "POST", {"content-type": JSON}, raw, URL)).status == 401


@pytest.mark.parametrize(
	"change",
	[
		{"Message": "x"},
		{"MessageId": "x"},
		{"Subject": "x"},
		{"TopicArn": TOPIC + "2"},
		{"Timestamp": "2026-01-01T00:00:00.000Z"},
		{"Type": "SubscriptionConfirmation"},
		{"Type": "Other"},
		{"SignatureVersion": "3"},
		{"SigningCertURL": "https://evil.example.com/1.pem"},
		{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/1.pem"},
		{"SigningCertURL": "https://sns.eu-west-1.amazonaws.com@evil.example/1.pem"},
		{"SigningCertURL": "http://sns.eu-west-1.amazonaws.com/1.pem"},
		{"SigningCertURL": "https://sns.eu.west.1.amazonaws.com/1.pem"},
		{"Signature": "AAAA"},
		{"Signature": None},
	],
)
def test_sns_messages_that_were_changed_are_refused(runtime_for, hosts_of_senders, change):
	runtime = runtime_for("Amazon SNS", TOPIC)
	raw = json.dumps({**sns(), **change}).encode()
	assert receive(runtime, Request("crm", "POST", {}, raw, URL)).status == 401
	assert all("amazonaws.com/" in url for url in hosts_of_senders)
	assert rows(runtime) == []


def test_a_subscription_of_sns_is_confirmed_on_amazons_host_alone(runtime_for, hosts_of_senders):
	runtime = runtime_for("Amazon SNS", TOPIC)
	place = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t"
	for url, status in ((place, 200), ("https://evil.example/?Action=ConfirmSubscription", 401)):
		raw = json.dumps(sns("SubscriptionConfirmation", Token="t", SubscribeURL=url)).encode()
		assert receive(runtime, Request("crm", "POST", {}, raw, URL)).status == status
	assert place in hosts_of_senders and not any("evil" in url for url in hosts_of_senders)
	assert rows(runtime) == []


def test_a_message_of_sns_that_is_sent_as_a_cloud_event_has_a_declared_answer(runtime_for, hosts_of_senders):
	runtime = runtime_for("Amazon SNS", TOPIC, 'event_format = "CloudEvents"\n')
	about = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "x"}
	answer = receive(runtime, Request("crm", "POST", about, json.dumps(sns()).encode(), URL))
	assert (answer.status, answer.reason, rows(runtime)) == (401, "signature_missing", [])


@pytest.mark.parametrize(
	"pem", [b"", b"no certificate", certificate(days=-2), certificate(days=5)], ids=range(4)
)
def test_a_certificate_that_is_none_or_out_of_date_proves_nothing(runtime_for, monkeypatch, pem):
	runtime = runtime_for("PayPal")
	monkeypatch.setattr(certificates, "fetched", lambda url, config, allowed: pem)
	sent = next(sent for sent in SENDERS if sent.preset == "PayPal")
	answer = receive(runtime, sent.request())
	assert (answer.status, answer.reason) == (401, "certificate_wrong")


def test_a_certificate_is_fetched_once_and_another_time_where_the_host_was_away(runtime_for, monkeypatch):
	runtime = runtime_for("PayPal")
	asked: list[str] = []

	def fetched(url, config, allowed):
		asked.append(url)
		if len(asked) == 1:
			raise certificates.CannotVerify("certificate_not_fetched")
		return certificate()

	monkeypatch.setattr(certificates, "fetched", fetched)
	sent = next(sent for sent in SENDERS if sent.preset == "PayPal")
	answers = [receive(runtime, sent.request()) for _ in range(3)]
	assert [(answer.status, answer.reason) for answer in answers] == [
		(503, "certificate_not_fetched"),
		(200, "unrouted"),
		(200, "duplicate"),
	]
	assert len(asked) == 2


@pytest.mark.parametrize(
	"preset",
	sorted(
		{
			sent.preset
			for sent in SENDERS
			if "{timestamp}" in presets()[sent.preset].settings.get("signed_content", "")
		}
		- {"Amazon SNS", "Mailgun"}
	),
)
def test_an_old_delivery_is_refused(runtime_for, monkeypatch, preset):
	sent = next(sent for sent in SENDERS if sent.preset == preset)
	request = sent.request()
	runtime = runtime_for(preset, sent.secret)
	tolerance = presets()[preset].settings.get("webhook_tolerance", 300)
	real = time.time
	for offset, reason in ((tolerance + 5, "timestamp_too_old"), (-tolerance - 5, "timestamp_in_the_future")):
		monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)
		answer = receive(runtime, request)
		assert (answer.status, answer.reason) == (401, reason)
	monkeypatch.setattr(time, "time", real)


@pytest.mark.parametrize("preset", ["Adyen", "SendGrid", "Xero", "Asana"])
def test_a_batch_that_comes_32_times_at_once_is_stored_once(runtime_for, preset):
	sent = next(sent for sent in SENDERS if sent.preset == preset)
	runtime = runtime_for(preset, sent.secret)
	request, store = sent.request(), GroupCommit()
	toml = runtime.file.folder / "hub.toml"

	def deliver(_number: int) -> Response:
		with StandaloneRuntime(toml) as one:
			return receive(one, request, store)

	with ThreadPoolExecutor(32) as pool:
		answers = list(pool.map(deliver, range(32)))
	assert {answer.status for answer in answers} <= {200, 202}
	found = Counter(row["event_id"] for row in rows(runtime))
	assert len(found) == len(sent.events) and set(found.values()) == {1}
	assert all(row["deliveries"] == 32 for row in rows(runtime))
