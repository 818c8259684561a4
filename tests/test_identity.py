"""The inbox counts events, not strings: what makes two deliveries one event, and what does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.standalone.runtime import _PREPARED
from integration_hub.stores import inbox
from integration_hub.stores.ids import key
from integration_hub.stores.rekey_events import rekey
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.sample_event import try_endpoint
from integration_hub.webhooks.schemes import Scheme, scheme_for
from integration_hub.webhooks.schemes.base import with_headers

SECRET = "sandbox-webhook-secret"


class Sender:
	"""Delivers to a runtime whose integration has a scheme and some settings."""

	def __init__(self, make_runtime, scheme: str, **settings: str):
		lines = "".join(f'{name} = "{value}"\n' for name, value in settings.items())
		self.runtime: StandaloneRuntime = make_runtime(
			(
				'signature_header = "X-Webhook-Signature"\nevent_type_path = "event"\nevent_id_path = "id"\n',
				f'webhook_scheme = "{scheme}"\n{lines}',
			)
		)
		self.scheme = scheme_for(self.runtime.integration("crm"))

	def send(self, body: dict | str, **headers: str) -> str:
		"""Deliver a body, a form if it is text; return the reason that is answered."""
		raw = (json.dumps(body) if isinstance(body, dict) else body).encode()
		named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
		if not isinstance(body, dict):
			named["content-type"] = "application/x-www-form-urlencoded"
		request = self.scheme.signed(Request("crm", "POST", named, raw, "https://hub.example.com/"), SECRET)
		return receive(self.runtime, request).reason

	def rows(self) -> list[dict]:
		return self.runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


NEW = ("received", "unrouted")


def test_one_action_told_under_several_topics_is_several_events(make_runtime):
	shop = Sender(make_runtime, "Shopify")
	order = {"id": 820982911946154508, "total": "10.00"}
	for topic in ("orders/create", "orders/paid", "orders/updated"):
		assert shop.send(order, X_Shopify_Event_Id="e1", X_Shopify_Topic=topic) in NEW
	assert shop.send({**order, "paid": True}, X_Shopify_Event_Id="e1", X_Shopify_Topic="orders/paid") in NEW
	for topic in ("orders/create", "orders/paid"):
		assert shop.send(order, X_Shopify_Event_Id="e1", X_Shopify_Topic=topic) == "duplicate"
	assert [row["deliveries"] for row in shop.rows()] == [2, 2, 1, 1]
	assert {row["event_id"] for row in shop.rows()} == {"e1"}


def test_woocommerce_counts_a_delivery_of_a_topic_and_not_the_orders_id(make_runtime):
	shop = Sender(make_runtime, "WooCommerce")
	order = {"id": 7, "status": "processing"}
	sent = {"X_WC_Webhook_Topic": "order.created", "X_WC_Webhook_Delivery_ID": "d1"}
	assert shop.send(order, **sent) in NEW
	assert shop.send(order, **sent) == "duplicate"
	assert shop.send(order, **{**sent, "X_WC_Webhook_Topic": "order.updated"}) in NEW
	assert shop.send({**order, "status": "completed"}, **{**sent, "X_WC_Webhook_Delivery_ID": "d2"}) in NEW
	# Ids are made by the second: another order of the same second is another event.
	assert shop.send({**order, "id": 8}, **sent) in NEW
	assert len(shop.rows()) == 4


def test_woocommerces_ping_is_answered_and_is_no_event(make_runtime):
	shop = Sender(make_runtime, "WooCommerce")
	form = {"content-type": "application/x-www-form-urlencoded"}
	answer = receive(shop.runtime, Request("crm", "POST", form, b"webhook_id=12"))
	assert (answer.status, answer.reason) == (200, "ping")
	assert receive(shop.runtime, Request("crm", "POST", form, b"webhook_id=12&x=1")).status == 401
	assert receive(shop.runtime, Request("crm", "POST", {}, b'{"id": 1}')).status == 401
	assert shop.rows() == []


@pytest.mark.parametrize(
	("settings", "first", "second"),
	[
		(
			{"event_id_header": "X-Event, X-Object"},
			{"X_Event": "1", "X_Object": "a"},
			{"X_Event": "1", "X_Object": "b"},
		),
		({"event_id_header": "X-Event", "event_id_path": "id"}, {"X_Event": "1"}, {"X_Event": "2"}),
	],
)
def test_an_id_is_made_of_headers_and_path_together(make_runtime, settings, first, second):
	sender = Sender(
		make_runtime, "Token", signature_header="X-Token", event_id_source="Header and Path", **settings
	)
	body = {"id": 5, "event": "x"}
	assert sender.send(body, **first) in NEW
	assert sender.send(body, **first) == "duplicate"
	assert sender.send(body, **second) in NEW
	assert sender.send({**body, "n": 1}, **first) == "conflict"
	if "event_id_path" in settings:
		assert sender.send({**body, "id": 6}, **first) in NEW
	assert not any(row["unsigned"] for row in sender.rows())


def test_a_path_may_lead_to_several_parts(make_runtime):
	sender = Sender(make_runtime, "HMAC", event_id_path="[id, status]")
	for status in ("draft", "published", "archived"):
		assert sender.send({"id": 5, "event": "x", "status": status}) in NEW
		assert sender.send({"id": 5, "event": "x", "status": status}) == "duplicate"
	assert sender.rows()[0]["event_id"] == "5 | draft"
	assert sender.send({"id": "5 | draft", "event": "x"}) in NEW, (
		"a part is missing: the body stands in for it"
	)


def test_parts_that_are_joined_are_not_mistaken_for_others(make_runtime):
	sender = Sender(make_runtime, "HMAC", event_id_path="[a, b]")
	for a, b in (("x | y", "z"), ("x", "y | z"), ("x \\", "z"), ("x", "\\ z")):
		assert sender.send({"a": a, "b": b, "event": "x"}) in NEW
	assert len({row["event_key"] for row in sender.rows()}) == 4


def test_where_a_part_of_the_id_is_missing_the_body_stands_in_for_it(make_runtime):
	sender = Sender(
		make_runtime,
		"Token",
		signature_header="X-Token",
		event_id_source="Header and Path",
		event_id_header="X-A",
		event_id_path="id",
	)
	assert sender.send({"id": 5, "event": "x", "n": 1}) in NEW
	assert sender.send({"id": 5, "event": "x", "n": 2}) in NEW
	assert sender.send({"id": 5, "event": "x", "n": 2}) == "duplicate"


def test_each_delivery_is_an_event(make_runtime):
	"""Mollie sends nothing but the id of a payment, whose state has changed."""
	sender = Sender(
		make_runtime, "Token", signature_header="X-Token", event_id_source="Each Delivery Is an Event"
	)
	for _ in range(3):
		assert sender.send(urlencode({"id": "tr_d0b0E3EA3v"})) in NEW
	assert len({row["event_id"] for row in sender.rows()}) == 3
	tried = try_endpoint(sender.runtime, "crm", "https://hub.example.com/")
	assert tried.log == sender.rows()[-1]["name"]


def test_draft_published_draft_is_lost_by_hash_and_kept_as_deliveries(make_runtime):
	states = ({"event": "x", "state": s} for s in ("draft", "published", "draft"))
	hashed = Sender(make_runtime, "HMAC", event_id_source="Hash of Body")
	assert [hashed.send(state) for state in states] == ["unrouted", "unrouted", "duplicate"]


@pytest.mark.parametrize(
	("scheme", "setting", "told", "statuses"),
	[
		("Stripe", "", "duplicate", ["Unrouted"]),
		("Stripe", "Conflict", "conflict", ["Unrouted", "Conflict"]),
		("Stripe", "New", "unrouted", ["Unrouted", "Unrouted"]),
		("HMAC", "", "conflict", ["Unrouted", "Conflict"]),
		("HMAC", "Duplicate", "duplicate", ["Unrouted"]),
		("HMAC", "New", "unrouted", ["Unrouted", "Unrouted"]),
	],
)
def test_the_same_id_with_another_body_is_what_the_settings_say(
	make_runtime, scheme, setting, told, statuses
):
	sender = Sender(make_runtime, scheme, same_id_other_body=setting)
	event = {"id": "evt_1", "type": "charge.succeeded", "event": "x", "created": 1700000000}
	assert sender.send({**event, "pending_webhooks": 2}) == "unrouted"
	assert sender.send({**event, "pending_webhooks": 1}) == told
	assert [row["status"] for row in sender.rows()] == statuses
	again = "conflict" if told == "conflict" else "duplicate"
	assert sender.send({**event, "pending_webhooks": 1}) == again
	assert sender.send({**event, "pending_webhooks": 2}) == "duplicate"
	assert [row["status"] for row in sender.rows()] == statuses


def test_settings_that_nobody_knows_are_refused():
	for field in ("same_id_other_body", "event_id_source"):
		config = IntegrationConfig("x", base_url="https://x", **{field: "Perhaps"})
		assert [f for f, _ in integration_problems(config, {})] == [field]
	config = IntegrationConfig("x", base_url="https://x", event_time_path="a[")
	assert [field for field, _ in integration_problems(config, {})] == ["event_time_path"]


def test_events_of_before_are_known_when_they_are_sent_again(runtime):
	"""Keys were made of integration and id alone, and a conflict's of its body's hash, too."""

	def event(id: str, kind: str, body: str) -> inbox.Event:
		return inbox.Event("crm", id, kind, "{}", body, "HTTP")

	plain, odd, long = event("1", "a", "h1"), event("2", "a", "h2"), event("x" * 300, "a", "h3")
	same_type, other_type = replace(odd, body_hash="h4"), event("2", "b", "h5")
	for each in (plain, odd, same_type, other_type, long):
		inbox.store(runtime, [each])
	rows = runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")
	for row in rows:
		conflict = row["body_hash"] in ("h4", "h5")
		id = "x" * 300 if row["body_hash"] == "h3" else row["event_id"]
		former = key("crm", id, *([row["body_hash"]] if conflict else []))
		runtime.db.execute(
			"UPDATE `tabWebhook Log` SET `event_key` = %s, `status` = %s WHERE `name` = %s",
			[former, "Conflict" if conflict else "Completed", row["name"]],
		)
	runtime.db.version = 0
	for _ in range(2):
		_PREPARED.clear()  # as in a process of its own
		with StandaloneRuntime(runtime.file.folder / "hub.toml") as again:
			assert again.db.version == 1
		rekey(runtime.db)
	assert inbox.store(runtime, [plain, odd, same_type, other_type]) == [
		"duplicate",
		"duplicate",
		"conflict",
		"duplicate",
	]
	assert inbox.store(runtime, [replace(plain, event_type="b")]) == ["received"]
	assert inbox.store(runtime, [replace(plain, body_hash="other")]) == ["conflict"]


def test_a_file_that_an_earlier_version_made_gets_the_columns_that_are_new(runtime):
	runtime.db.execute("ALTER TABLE `tabWebhook Log` DROP COLUMN `unsigned`")
	runtime.db.execute("ALTER TABLE `tabSync Settings` DROP COLUMN `record_endpoint`")
	_PREPARED.clear()  # as in a process of its own
	with StandaloneRuntime(runtime.file.folder / "hub.toml") as again:
		assert inbox.store(again, [inbox.Event("crm", "1", "x", "{}", "h", "HTTP", unsigned="type")])
		assert again.db.query("SELECT `unsigned` FROM `tabWebhook Log`") == [{"unsigned": "type"}]


class AppScheme:
	"""Of another app, and derived from nothing."""

	signed_headers = ("x-app-id",)

	def __init__(self, config: IntegrationConfig):
		self.config = config

	def verify(self, request: Request, secrets: list[str]) -> None:
		"""Believe it."""


def test_a_scheme_of_another_app_says_what_it_signs():
	config = IntegrationConfig("x", webhook_scheme="App")
	scheme = scheme_for(config, {"App": "tests.test_identity.AppScheme"})
	assert isinstance(scheme, Scheme) and "x-app-id" in scheme.signed_headers
	assert "x-other" not in scheme.signed_headers


def test_woocommerce_signs_as_its_plugin_does():
	"""base64_encode( hash_hmac( 'sha256', trim( $payload ), wp_specialchars_decode( $secret ), true ) )"""
	body = b'{"id":1}'
	signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
	scheme = scheme_for(IntegrationConfig("x", webhook_scheme="WooCommerce"))
	scheme.verify(
		with_headers(Request("x", "POST", {}, body), {"X-WC-Webhook-Signature": signature}), [SECRET]
	)
