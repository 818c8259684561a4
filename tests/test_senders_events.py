"""Senders by their presets: each signs a body in the shape that it documents, and its events come apart and are known.

The signers here share no code with the app; where a sender or its library publishes a signature, that one is used.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.presets import presets
from integration_hub.webhooks.receive import receive

URL = "https://hub.example.com/webhooks/crm"
SECRET = "a-secret-of-the-sender-1234"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
Signer = Callable[[bytes], dict[str, str]]


def mac(content: bytes, kind: str = "sha256", secret: str = SECRET) -> bytes:
	return hmac.new(secret.encode(), content, kind).digest()


def b64(data: bytes) -> str:
	return base64.b64encode(data).decode()


def now() -> str:
	return str(int(time.time()))


def hex_in(header: str, prefix: str = "", kind: str = "sha256") -> Signer:
	return lambda body: {header: prefix + mac(body, kind).hex()}


def base64_in(header: str, prefix: str = "") -> Signer:
	return lambda body: {header: prefix + b64(mac(body))}


def paddle(body: bytes) -> dict[str, str]:
	at = now()
	return {"paddle-signature": f"ts={at};h1={mac(at.encode() + b':' + body).hex()}"}


def calendly(body: bytes) -> dict[str, str]:
	at = now()
	return {"calendly-webhook-signature": f"t={at},v1={mac(at.encode() + b'.' + body).hex()}"}


def hubspot(body: bytes) -> dict[str, str]:
	at = str(int(time.time() * 1000))
	signature = b64(mac(b"POST" + URL.encode() + body + at.encode()))
	return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": at}


def zendesk(body: bytes) -> dict[str, str]:
	at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
	signature = b64(mac(at.encode() + body))
	return {"x-zendesk-webhook-signature": signature, "x-zendesk-webhook-signature-timestamp": at}


KEY = rsa.generate_private_key(65537, 2048)
PEM = (
	KEY.public_key()
	.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
	.decode()
)


def rsa_in(header: str) -> Signer:
	return lambda body: {header: b64(KEY.sign(body, padding.PKCS1v15(), hashes.SHA256()))}


def bearer(_body: bytes) -> dict[str, str]:
	return {"authorization": f"Bearer {SECRET}"}


def in_the_path(_body: bytes) -> dict[str, str]:
	return {}


@dataclass
class Sent:
	"""One delivery of a sender, and its events: id, type, ordering key, and where the time begins."""

	preset: str
	sign: Signer
	body: Any
	events: list[tuple[str, str, str, str]]
	headers: dict[str, str] = field(default_factory=dict)
	kind: str = JSON
	secret: str = SECRET
	token: bool = False
	answer: str = ""

	@property
	def raw(self) -> bytes:
		return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

	def request(self, body: bytes | None = None) -> Request:
		raw = self.raw if body is None else body
		headers = {"content-type": self.kind, **self.headers, **self.sign(raw)}
		place = f"crm/{self.secret}" if self.token else "crm"
		return Request(place, "POST", headers, raw, URL)


HASH = "<hash>"


def multipart(**fields: str) -> bytes:
	parts = (
		f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
		for name, value in fields.items()
	)
	return ("".join(parts) + "--b--\r\n").encode()


CLOUD = {
	"specversion": "1.0",
	"id": "A-1",
	"source": "/shop",
	"type": "shop.paid",
	"time": "2026-01-02T03:04:05Z",
}
SOAP = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>
<notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>00D1</OrganizationId>
<ActionId>04k1</ActionId><SessionId xsi:nil="true" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>
{}</notifications></soapenv:Body></soapenv:Envelope>"""
NOTE = """<Notification><Id>{}</Id><sObject xsi:type="sf:Contact" xmlns:sf="urn:sobject.enterprise.soap.sforce.com"
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><sf:Id>{}</sf:Id><sf:Email>a@b.c</sf:Email></sObject></Notification>"""

SENDERS = [
	Sent(
		"Adobe Commerce",
		rsa_in("x-adobe-commerce-webhook-signature"),
		{"order": {"increment_id": "000000001", "updated_at": "2026-01-02 03:04:05"}},
		[(HASH, "", "", "")],
		secret=PEM,
	),
	Sent(
		"Adobe I/O Events",
		rsa_in("x-adobe-digital-signature-2"),
		[
			{
				**CLOUD,
				"type": "com.adobe.commerce.observer.sales_order_save_after",
				"data": {"value": {"entity_id": "9"}},
			},
			{**CLOUD, "id": "A-2"},
		],
		[
			("A-1", "com.adobe.commerce.observer.sales_order_save_after", "", "2026-01-02"),
			("A-2", "shop.paid", "", "2026-01-02"),
		],
		secret=PEM,
	),
	Sent(
		"Mollie",
		hex_in("x-mollie-signature", "sha256="),
		{
			"resource": "event",
			"id": "event_GvJ8WHrp5isUdRub9CJyH",
			"type": "payment-link.paid",
			"entityId": "pl_qng5gbbv8NAZ5gpM5ZYgx",
			"createdAt": "2024-12-16T15:57:04.0Z",
		},
		[("event_GvJ8WHrp5isUdRub9CJyH", "payment-link.paid", "pl_qng5gbbv8NAZ5gpM5ZYgx", "2024-12-16")],
	),
	Sent(
		"Mollie Payments",
		in_the_path,
		urlencode({"id": "tr_5B8cwPMGnU6qLbRvo7qEZo"}).encode(),
		[("", "", "tr_5B8cwPMGnU6qLbRvo7qEZo", "")],
		kind=FORM,
		token=True,
	),
	Sent(
		"Square",
		lambda body: {"x-square-hmacsha256-signature": b64(mac(URL.encode() + body))},
		{
			"merchant_id": "MLEFBHHSJGVHD",
			"type": "payment.updated",
			"event_id": "6a8f5f28-54a1-4eb0-a98a-3111513fd4fc",
			"created_at": "2026-02-06T21:27:34.308Z",
			"data": {
				"type": "payment",
				"id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY",
				"object": {"payment": {"id": "hYy9"}},
			},
		},
		[
			(
				"6a8f5f28-54a1-4eb0-a98a-3111513fd4fc",
				"payment.updated",
				"hYy9pRFVxpDsO1FB05SunFWUe9JZY",
				"2026-02-06",
			)
		],
	),
	Sent(
		"Razorpay",
		hex_in("x-razorpay-signature"),
		{
			"entity": "event",
			"event": "payment.captured",
			"contains": ["payment"],
			"payload": {"payment": {"entity": {"id": "pay_1", "amount": 100}}},
			"created_at": 1567674606,
		},
		[("evt_1", "payment.captured", "", "2019-09-05")],
		headers={"x-razorpay-event-id": "evt_1"},
	),
	Sent(
		"Paddle",
		paddle,
		{
			"event_id": "evt_01hv8x2acma2gz7he8kg2s0hna",
			"event_type": "subscription.updated",
			"occurred_at": "2024-04-12T10:18:49.621022Z",
			"notification_id": "ntf_01hv8x2af22yhyz6ebpwbj9hfx",
			"data": {"id": "sub_01hv8x29kz0t586xy6zn1a62ny"},
		},
		[
			(
				"evt_01hv8x2acma2gz7he8kg2s0hna",
				"subscription.updated",
				"sub_01hv8x29kz0t586xy6zn1a62ny",
				"2024-04-12",
			)
		],
	),
	Sent(
		"QuickBooks",
		base64_in("intuit-signature"),
		{
			"eventNotifications": [
				{
					"realmId": "1185883450",
					"dataChangeEvent": {
						"entities": [
							{
								"name": "Customer",
								"id": "1",
								"operation": "Create",
								"lastUpdated": "2015-10-05T14:42:19-0700",
							},
							{
								"name": "Vendor",
								"id": "1",
								"operation": "Create",
								"lastUpdated": "2015-10-05T14:42:19-0700",
							},
						]
					},
				}
			]
		},
		[
			(
				"1185883450 | Customer | 1 | Create | 2015-10-05T14:42:19-0700",
				"Customer.Create",
				"1185883450 | Customer/1",
				"2015-10-05T21",
			),
			(
				"1185883450 | Vendor | 1 | Create | 2015-10-05T14:42:19-0700",
				"Vendor.Create",
				"1185883450 | Vendor/1",
				"2015-10-05T21",
			),
		],
	),
	Sent(
		"QuickBooks",
		base64_in("intuit-signature"),
		[
			{
				"specversion": "1.0",
				"id": "88cd52aa-33b6-4351-9aa4-47572edbd068",
				"source": "intuit.dsnBgbseACLLRZNxo2dfc4evmEJdxde58xeeYcZliOU=",
				"type": "qbo.invoice.created.v1",
				"datacontenttype": "application/json",
				"time": "2026-05-31T21:31:25.179Z",
				"intuitentityid": "95",
				"intuitaccountid": "310687",
				"data": {},
			}
		],
		[
			(
				"intuit.dsnBgbseACLLRZNxo2dfc4evmEJdxde58xeeYcZliOU= | 88cd52aa-33b6-4351-9aa4-47572edbd068",
				"qbo.invoice.created.v1",
				"310687 | 95",
				"2026-05-31",
			)
		],
	),
	Sent(
		"WhatsApp",
		hex_in("x-hub-signature-256", "sha256="),
		{
			"object": "whatsapp_business_account",
			"entry": [
				{
					"id": "1001",
					"changes": [
						{
							"value": {
								"messaging_product": "whatsapp",
								"metadata": {"phone_number_id": "106"},
								"messages": [
									{
										"from": "49",
										"id": "wamid.1",
										"timestamp": "1700000000",
										"type": "text",
										"text": {"body": "a"},
									},
									{
										"from": "50",
										"id": "wamid.2",
										"timestamp": "1700000001",
										"type": "image",
									},
								],
							},
							"field": "messages",
						},
						{
							"value": {
								"statuses": [
									{
										"id": "wamid.0",
										"status": "delivered",
										"timestamp": "1700000002",
										"recipient_id": "49",
									},
									{
										"id": "wamid.0",
										"status": "read",
										"timestamp": "1700000003",
										"recipient_id": "49",
									},
								]
							},
							"field": "messages",
						},
						{"value": {"event": "APPROVED"}, "field": "message_template_status_update"},
					],
				}
			],
		},
		[
			("wamid.1", "message.text", "49", "2023-11-14T22:13:20"),
			("wamid.2", "message.image", "50", "2023-11-14T22:13:21"),
			("wamid.0 | delivered", "status.delivered", "49", "2023-11-14T22:13:22"),
			("wamid.0 | read", "status.read", "49", "2023-11-14T22:13:23"),
			(HASH, "message_template_status_update", "", ""),
		],
	),
	Sent(
		"Messenger and Instagram",
		hex_in("x-hub-signature-256", "sha256="),
		{
			"object": "page",
			"entry": [
				{
					"id": "1",
					"time": 1700000000000,
					"messaging": [
						{
							"sender": {"id": "7"},
							"timestamp": 1700000000123,
							"message": {"mid": "m_1", "text": "hi"},
						}
					],
				},
				{"id": "2", "time": 1700000000, "changes": [{"field": "feed", "value": {"item": "like"}}]},
			],
		},
		[("m_1", "message", "7", "2023-11-14T22:13:20"), (HASH, "feed", "", "2023-11-14T22:13:20")],
	),
	Sent(
		"HubSpot",
		hubspot,
		[
			{
				"eventId": 100,
				"subscriptionId": 1184511,
				"portalId": 62515,
				"occurredAt": 1564113600000,
				"subscriptionType": "contact.creation",
				"attemptNumber": 0,
				"objectId": 123,
			},
			{
				"eventId": 100,
				"subscriptionId": 1184511,
				"portalId": 62515,
				"occurredAt": 1564113600000,
				"subscriptionType": "contact.creation",
				"attemptNumber": 0,
				"objectId": 124,
			},
		],
		[
			("100 | 1184511 | 123 | 1564113600000", "contact.creation", "123", "2019-07-26"),
			("100 | 1184511 | 124 | 1564113600000", "contact.creation", "124", "2019-07-26"),
		],
	),
	Sent(
		"Salesforce",
		in_the_path,
		SOAP.format(NOTE.format("04l1", "003A") + NOTE.format("04l2", "003B")).encode(),
		[("04l1", "sf:Contact", "003A", ""), ("04l2", "sf:Contact", "003B", "")],
		kind="text/xml; charset=utf-8",
		token=True,
		answer="<Ack>true</Ack>",
	),
	Sent(
		"Zendesk",
		zendesk,
		{
			"account_id": 12514403,
			"detail": {"id": "6596848315901", "email": "a@b.c"},
			"event": {},
			"id": "2b24ef10-19d3-4740-93cf-8f98ec4776c0",
			"subject": "zen:user:6596848315901",
			"time": "2022-06-26T07:10:50Z",
			"type": "zen:event-type:user.created",
			"zendesk_event_version": "2022-06-20",
		},
		[
			(
				"2b24ef10-19d3-4740-93cf-8f98ec4776c0",
				"zen:event-type:user.created",
				"6596848315901",
				"2022-06-26",
			)
		],
	),
	Sent(
		"Intercom",
		hex_in("x-hub-signature", "sha1=", "sha1"),
		{
			"type": "notification_event",
			"topic": "conversation.user.created",
			"id": "notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3",
			"created_at": 1392731331,
			"delivery_attempts": 1,
			"data": {"type": "notification_event_data", "item": {"type": "conversation", "id": "123"}},
		},
		[("notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3", "conversation.user.created", "123", "2014-02-18")],
	),
	Sent(
		"Calendly",
		calendly,
		{
			"event": "invitee.created",
			"created_at": "2020-11-23T17:51:19.000000Z",
			"created_by": "https://api.calendly.com/users/A",
			"payload": {"uri": "https://api.calendly.com/scheduled_events/A/invitees/B", "email": "a@b.c"},
		},
		[(HASH, "invitee.created", "https://api.calendly.com/scheduled_events/A/invitees/B", "2020-11-23")],
	),
	Sent(
		"Typeform",
		base64_in("typeform-signature", "sha256="),
		{
			"event_id": "LtWXD3crgy",
			"event_type": "form_response",
			"form_response": {"form_id": "lT4Z3j", "submitted_at": "2018-01-18T18:17:02Z"},
		},
		[("LtWXD3crgy", "form_response", "", "2018-01-18")],
	),
	Sent(
		"Jotform",
		in_the_path,
		multipart(
			formID="230", submissionID="555", rawRequest='{"q3_name": {"first": "Ada"}}', pretty="Name:Ada"
		),
		[("555", "230", "", "")],
		kind="multipart/form-data; boundary=b",
		token=True,
	),
	Sent(
		"monday.com",
		in_the_path,
		{
			"event": {
				"userId": 9603417,
				"triggerUuid": "645fc8d8709d35718f1ae00ceded91e9",
				"triggerTime": "2021-10-11T09:07:28.210Z",
				"type": "update_column_value",
				"boardId": 1771812698,
				"pulseId": 1772099344,
			}
		},
		[("645fc8d8709d35718f1ae00ceded91e9", "update_column_value", "1772099344", "2021-10-11")],
		token=True,
	),
	Sent(
		"Linear",
		hex_in("linear-signature"),
		{
			"action": "create",
			"type": "Comment",
			"createdAt": "2020-01-23T12:53:18.084Z",
			"data": {"id": "2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9", "body": "Indeed"},
			"url": "https://linear.app/issue/LIN-1778",
			"webhookTimestamp": 1676056940508,
			"webhookId": "000042e3-d123-4980-b49f-8e140eef9329",
		},
		[
			(
				"2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9 | 2020-01-23T12:53:18.084Z",
				"Comment.create",
				"2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9",
				"2020-01-23",
			)
		],
		headers={"linear-delivery": "234d1a4e"},
	),
	Sent(
		"Notion",
		hex_in("x-notion-signature", "sha256="),
		{
			"id": "367cba44-b6f3-4c92-81e7-6a2e9659efd4",
			"timestamp": "2024-12-05T23:55:34.285Z",
			"type": "page.created",
			"attempt_number": 1,
			"entity": {"id": "153104cd-477e-809d-8dc4-ff2d96ae3090", "type": "page"},
			"data": {"parent": {"id": "13950b26", "type": "space"}},
		},
		[
			(
				"367cba44-b6f3-4c92-81e7-6a2e9659efd4",
				"page.created",
				"153104cd-477e-809d-8dc4-ff2d96ae3090",
				"2024-12-05",
			)
		],
	),
	Sent(
		"CloudEvents",
		bearer,
		{**CLOUD, "data": {"n": 1}},
		[("/shop | A-1", "shop.paid", "", "2026-01-02")],
		kind="application/cloudevents+json",
	),
	Sent(
		"CloudEvents",
		bearer,
		[{**CLOUD, "partitionkey": "p"}, {**CLOUD, "id": "A-2"}],
		[("/shop | A-1", "shop.paid", "p", "2026-01-02"), ("/shop | A-2", "shop.paid", "", "2026-01-02")],
		kind="application/cloudevents-batch+json",
	),
	Sent(
		"CloudEvents",
		bearer,
		{"n": 1},
		[("/shop | A-1", "shop.paid", "", "2026-01-02")],
		headers={f"ce-{name}": value for name, value in CLOUD.items()},
	),
	Sent(
		"Frappe",
		base64_in("x-frappe-webhook-signature"),
		{"doctype": "Sales Order", "name": "SO-1", "modified": "2026-01-02 03:04:05", "event": "on_submit"},
		[(HASH, "on_submit", "", "")],
	),
]
NAMES = [f"{number}-{sent.preset}" for number, sent in enumerate(SENDERS)]
# Those whose senders say in a body of the same event how often they have tried.
COUNTED = {
	"HubSpot": "attemptNumber",
	"Intercom": "delivery_attempts",
	"Notion": "attempt_number",
	"Linear": "webhookTimestamp",
}


@pytest.fixture
def runtime_for(make_runtime, monkeypatch):
	"""Give a function that opens a runtime whose integration has the preset of a delivery, and its secret."""

	def open_for(sent: Sent) -> StandaloneRuntime:
		monkeypatch.setenv("CRM_WEBHOOK_SECRET", sent.secret)
		settled = '\nevent_type_path = "event"\nevent_id_path = "id"\n'
		return make_runtime((settled, f'\nwebhook_scheme = "{sent.preset}"\n'))

	return open_for


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


@pytest.mark.parametrize("sent", SENDERS, ids=NAMES)
def test_a_delivery_is_proven_and_its_events_are_known_each_once(runtime_for, sent):
	runtime = runtime_for(sent)
	answer = receive(runtime, sent.request())
	assert answer.status in (200, 202) and answer.reason == "unrouted", answer
	assert sent.answer in answer.text
	found = rows(runtime)
	assert [row["status"] for row in found] == ["Unrouted"] * len(sent.events)
	for row, (event_id, event_type, key, at) in zip(found, sent.events, strict=True):
		assert (row["event_type"], row["ordering_key"]) == (event_type, key)
		assert row["event_time"].startswith(at) and bool(row["event_time"]) is bool(at)
		assert (
			not event_id or row["event_id"] == event_id or (event_id == HASH and len(row["event_id"]) == 64)
		)
	again = receive(runtime, sent.request())
	if sent.preset == "Mollie Payments":
		assert again.reason == "unrouted" and len(rows(runtime)) == 2
	else:
		assert again.reason == "duplicate"
		assert [row["deliveries"] for row in rows(runtime)] == [2] * len(sent.events)


@pytest.mark.parametrize("sent", SENDERS, ids=NAMES)
def test_each_event_reaches_a_route(runtime_for, sent):
	toml = runtime_for(sent).file.folder / "hub.toml"
	toml.write_text(
		toml.read_text() + '\n[[integration.crm.routes]]\nevent_pattern = "*"\naction = "Ignore"\n'
	)
	with StandaloneRuntime(toml) as routed:
		assert receive(routed, sent.request()).reason == "received"
		drain(routed, "crm")
		assert [row["status"] for row in rows(routed)] == ["Completed"] * len(sent.events)


@pytest.mark.parametrize("sent", SENDERS, ids=NAMES)
def test_what_another_has_signed_or_altered_is_refused(runtime_for, sent):
	runtime = runtime_for(sent)
	request = sent.request()
	if sent.sign in (in_the_path, bearer):
		wrong = [
			replace(request, integration="crm"),
			replace(request, integration="crm/wrong-secret-of-some-length"),
		]
		wrong = (
			wrong
			if sent.token
			else [replace(request, headers={"content-type": sent.kind, "authorization": "Bearer x"})]
		)
	else:
		places = {0, len(request.body) // 2, len(request.body) - 1}
		wrong = [replace(request, body=flipped(request.body, place)) for place in places]
		wrong.append(replace(request, headers={"content-type": sent.kind}))
	for forged in wrong:
		assert receive(runtime, forged).status == 401
	assert rows(runtime) == []


def flipped(body: bytes, place: int) -> bytes:
	return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]


@pytest.mark.parametrize(
	"sent", [sent for sent in SENDERS if sent.preset in COUNTED], ids=lambda sent: sent.preset
)
def test_a_repeated_event_that_counts_its_attempts_is_a_duplicate(runtime_for, sent):
	runtime = runtime_for(sent)
	receive(runtime, sent.request())
	body = json.loads(sent.raw)
	for item in body if isinstance(body, list) else [body]:
		item[COUNTED[sent.preset]] += 1
	assert receive(runtime, sent.request(json.dumps(body).encode())).reason == "duplicate"


@pytest.mark.parametrize(
	("preset", "secret", "headers", "body", "url"),
	[
		(  # Square's own example: https://developer.squareup.com/docs/webhooks/step3validate
			"Square",
			"asdf1234",
			{"x-square-hmacsha256-signature": "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og="},
			b'{"hello":"world"}',
			"https://example.com/webhook",
		),
	],
)
def test_published_signatures_are_right(runtime_for, preset, secret, headers, body, url):
	runtime = runtime_for(Sent(preset, in_the_path, body, [], secret=secret))
	request = Request("crm", "POST", {"content-type": JSON, **headers}, body, url)
	assert receive(runtime, request).status == 202
	assert receive(runtime, replace(request, body=body + b" ")).status == 401
	assert receive(runtime, replace(request, url=url + "/")).status == 401


@pytest.mark.parametrize("count", [1, 2])
def test_quickbooks_ids_are_of_company_entity_and_change(runtime_for, count):
	sent = next(sent for sent in SENDERS if sent.preset == "QuickBooks")
	runtime = runtime_for(sent)
	body = json.loads(sent.raw)
	entity = body["eventNotifications"][0]["dataChangeEvent"]["entities"][0]
	receive(runtime, sent.request())
	entity["lastUpdated" if count == 1 else "operation"] = (
		"2015-10-05T14:42:20-0700" if count == 1 else "Update"
	)
	assert receive(runtime, sent.request(json.dumps(body).encode())).reason == "unrouted"
	assert len(rows(runtime)) == 3


def test_what_is_around_a_message_is_kept_without_the_other_messages(runtime_for):
	sent = next(sent for sent in SENDERS if sent.preset == "WhatsApp")
	runtime = runtime_for(sent)
	receive(runtime, sent.request())
	payload = json.loads(rows(runtime)[0]["payload"])
	assert payload["^"]["value"] == {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "106"}}
	assert payload["^"]["^"] == {"id": "1001", "^": {"object": "whatsapp_business_account"}}


def test_the_senders_of_this_file_are_presets():
	assert {sent.preset for sent in SENDERS} <= presets().keys()
