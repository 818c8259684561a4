"""What a sender does not sign chooses nothing that destroys: a recorded delivery sent again under other headers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores import inbox
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.presets import presets
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.replay import preview, replay
from integration_hub.webhooks.schemes import SCHEMES, scheme_for
from integration_hub.webhooks.schemes.base import Everything
from tests.compare import source, table

ROOT = Path(__file__).parent.parent

SECRET = "sandbox-webhook-secret"


class Shop:
	"""A runtime that takes what Shopify would send, and customers by their own records."""

	def __init__(self, make_runtime, crm, *more: tuple[str, str]):
		self.crm, self._number = crm, 0
		self.runtime: StandaloneRuntime = make_runtime(
			('event_type_path = "event"\nevent_id_path = "id"\n', 'webhook_scheme = "Shopify"\n'),
			('event_pattern = "customer.deleted"', 'event_pattern = "customers/delete"'),
			('event_pattern = "customer.*"', 'event_pattern = "customers/*"'),
			('record_path = "data"\n', 'record_path = "@"\n'),
			*more,
		)
		self.scheme = scheme_for(self.runtime.integration("crm"))

	def send(self, topic: str, body: dict, event_id: str = "", **headers: str) -> str:
		self._number += 1
		named = {"x-shopify-topic": topic, "x-shopify-event-id": event_id or f"e{self._number}", **headers}
		request = Request("crm", "POST", named, json.dumps(body).encode())
		return receive(self.runtime, self.scheme.signed(request, SECRET)).reason

	def handled(self) -> list[tuple[str, str]]:
		drain(self.runtime, "crm")
		sql = "SELECT `event_type`, `status` FROM `tabWebhook Log` ORDER BY `name`"
		return [(row["event_type"], row["status"]) for row in self.runtime.db.query(sql)]

	def here(self) -> list[str]:
		return [row["customer_id"] for row in table(self.runtime, "full")]


ENDPOINT = (
	'[stream.customers-full]\nintegration = "crm"\n',
	'[stream.customers-full]\nintegration = "crm"\nrecord_endpoint = "/v1/customers/{id}"\n',
)


@pytest.fixture
def shop(make_runtime, crm) -> Shop:
	return Shop(make_runtime, crm, ENDPOINT)


def test_a_recorded_delivery_under_another_topic_deletes_nothing(shop, crm):
	record = crm.customers.alive()[0]
	assert shop.send("customers/update", record) == "received"
	assert shop.send("customers/delete", record) == "received"
	assert shop.handled() == [("customers/update", "Completed"), ("customers/delete", "Completed")]
	assert shop.here() == [record["id"]], "the source was asked: it is there"


def test_what_is_there_still_is_written_as_it_is_now(shop, crm):
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.handled()
	crm.customers.set(record["id"], city="Newtown")
	shop.send("customers/delete", {"id": record["id"]})
	shop.handled()
	assert [row["city"] for row in table(shop.runtime, "full")] == ["Newtown"]


def test_a_deletion_that_the_source_confirms_is_done(shop, crm):
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	del crm.customers._rows[record["id"]]
	shop.send("customers/delete", {"id": record["id"]})
	shop.send("customers/update", record)
	assert [status for _, status in shop.handled()] == ["Completed"] * 3
	assert shop.here() == [], "and what was changed before it comes too late"


def test_without_a_way_to_ask_a_person_decides(make_runtime, crm):
	shop = Shop(make_runtime, crm)
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.send("customers/delete", {"id": record["id"]})
	assert shop.handled()[1] == ("customers/delete", "Conflict")
	[row] = shop.runtime.db.query("SELECT * FROM `tabWebhook Log` WHERE `status` = 'Conflict'")
	assert "not signed" in row["error"] and row["unsigned"] == "id, type"
	assert shop.here() == [record["id"]]
	assert replay(shop.runtime, [row["name"]]) == 0, "no replay by the way"
	assert replay(shop.runtime, [row["name"]], conflicts=True) == 1
	assert shop.handled()[1] == ("customers/delete", "Completed")
	assert shop.here() == []


def test_a_source_that_does_not_answer_is_asked_again(shop, crm):
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.handled()
	crm.faults.set(rates={"500": 1.0})
	shop.send("customers/delete", {"id": record["id"]})
	shop.send("customers/update", crm.customers.alive()[1])
	assert [status for _, status in shop.handled()] == ["Completed", "Failed", "Completed"]
	assert shop.here() == [record["id"], "CUST-000002"]
	[row] = shop.runtime.db.query("SELECT `error` FROM `tabWebhook Log` WHERE `status` = 'Failed'")
	assert "500" in row["error"]


def test_an_answer_that_is_another_record_deletes_and_writes_nothing(make_runtime, crm):
	shop = Shop(make_runtime, crm, (ENDPOINT[0], ENDPOINT[1].replace("{id}", "CUST-000002?{id}")))
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.send("customers/delete", {"id": record["id"]})
	assert shop.handled()[1][1] == "Failed"
	assert shop.here() == [record["id"]]


def test_a_recorded_deletion_under_another_topic_empties_nothing(shop, crm):
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.send("customers/update", {"id": record["id"]})
	assert shop.handled()[1] == ("customers/update", "Conflict")
	assert [row["city"] for row in table(shop.runtime, "full")] == [record["city"]]


def test_a_deletion_that_the_signed_body_tells_is_done(make_runtime, crm):
	shop = Shop(
		make_runtime,
		crm,
		(ENDPOINT[0], '[stream.customers-full]\nintegration = "crm"\ndeleted_path = "gone"\n'),
	)
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.send("customers/update", {"id": record["id"], "gone": True})
	assert shop.handled()[1] == ("customers/update", "Completed")
	assert shop.here() == []


def test_a_topic_that_its_body_contradicts_waits_for_a_person(shop, crm):
	record = {**crm.customers.alive()[0], "admin_graphql_api_id": "gid://shopify/Order/820982911946154508"}
	assert shop.send("customers/update", record) == "conflict"
	[row] = shop.runtime.db.query("SELECT * FROM `tabWebhook Log`")
	assert row["status"] == "Conflict" and "Order" in row["error"]
	assert shop.send("orders/update", record) == "unrouted"
	assert shop.send("customers/update", record, event_id="e1") == "duplicate"


@pytest.mark.parametrize("setting", ["", "Duplicate", "Conflict"])
def test_an_id_that_was_taken_in_advance_keeps_no_event_out(make_runtime, crm, setting):
	more = ('webhook_scheme = "Shopify"\n', f'webhook_scheme = "Shopify"\nsame_id_other_body = "{setting}"\n')
	shop = Shop(make_runtime, crm, more)
	first, second = crm.customers.alive()[:2]
	assert shop.send("customers/update", first, event_id="e1") == "received"
	assert shop.send("customers/update", first, event_id="e2") == "received"  # recorded, and sent again
	assert shop.send("customers/update", second, event_id="e2") == "received"
	assert shop.send("customers/update", second, event_id="e2") == "duplicate"
	shop.handled()
	assert shop.here() == [first["id"], second["id"]]


def test_a_time_that_is_not_signed_makes_no_update_win(shop, crm):
	later = {"x-shopify-triggered-at": "2026-06-01T00:00:00Z"}
	bare = {"id": "CUST-9", "name": "Nine", "email": "", "city": "new", "credit_limit": 1, "active": True}
	shop.send("customers/update", bare)
	shop.send("customers/update", {**bare, "city": "older"}, **later)
	shop.send("customers/update", {**bare, "city": "now"})
	shop.handled()
	assert [row["city"] for row in table(shop.runtime, "full")] == ["now"]


def test_a_deletion_is_as_old_as_its_sender_says(shop, crm):
	record = {**crm.customers.alive()[0], "updated_at": "2026-01-01T00:00:01Z"}
	shop.send("customers/update", record)
	del crm.customers._rows[record["id"]]
	shop.send("customers/delete", {"id": record["id"]}, **{"x-shopify-triggered-at": "2026-01-01T00:00:03Z"})
	shop.send("customers/update", {**record, "updated_at": "2026-01-01T00:00:02Z"})
	shop.handled()
	assert shop.here() == []
	assert shop.runtime.db.query("SELECT `source_time` FROM `tabExternal Record`") == [
		{"source_time": "2026-01-01T00:00:03.000000Z"}
	]
	shop.send("customers/update", {**record, "updated_at": "2026-01-01T00:00:04Z"})
	shop.handled()
	assert shop.here() == [record["id"]]


def test_a_time_ahead_of_its_receipt_counts_as_the_receipt(shop, crm):
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	del crm.customers._rows[record["id"]]
	shop.send("customers/delete", {"id": record["id"]}, **{"x-shopify-triggered-at": "2999-01-01T00:00:00Z"})
	shop.handled()
	[row] = shop.runtime.db.query("SELECT `source_time` FROM `tabExternal Record`")
	assert row["source_time"] < "2100"


def test_a_preview_asks_nobody(shop, crm):
	shop.send("customers/delete", {"id": "CUST-000001"})
	before = crm.requests
	[effect] = preview(shop.runtime, inbox.select(shop.runtime, integration="crm"))
	assert effect.action == "Call" and "Asks the source" in effect.does and crm.requests == before


def test_a_type_in_the_signed_body_is_believed(make_runtime, crm):
	runtime = make_runtime()
	record = crm.customers.alive()[0]
	scheme = scheme_for(runtime.integration("crm"))
	for event in ("customer.created", "customer.deleted"):
		body = json.dumps({"id": event, "event": event, "data": record}).encode()
		receive(runtime, scheme.signed(Request("crm", "POST", {}, body), SECRET))
	assert drain(runtime, "crm").completed == 2 and table(runtime, "full") == []
	assert {row["unsigned"] for row in runtime.db.query("SELECT `unsigned` FROM `tabWebhook Log`")} == {""}


def test_a_header_of_the_general_hmac_is_not_signed(make_runtime, crm):
	runtime = make_runtime(
		('event_type_path = "event"', 'event_type_header = "X-Event"\nevent_type_path = "event"')
	)
	record = crm.customers.alive()[0]
	scheme = scheme_for(runtime.integration("crm"))
	body = json.dumps({"id": "1", "event": "customer.created", "data": record}).encode()
	receive(runtime, scheme.signed(Request("crm", "POST", {}, body), SECRET))
	receive(runtime, scheme.signed(Request("crm", "POST", {"x-event": "customer.deleted"}, body), SECRET))
	drain(runtime, "crm")
	assert len(table(runtime, "full")) == 1
	assert runtime.db.query("SELECT `status` FROM `tabWebhook Log` ORDER BY `name`")[1] == {
		"status": "Conflict"
	}


def test_an_ordering_key_waits_for_its_answer_too(make_runtime, crm):
	shop = Shop(make_runtime, crm, ENDPOINT, ("client_id", 'ordering_key_path = "id"\nclient_id'))
	record = crm.customers.alive()[0]
	shop.send("customers/update", record)
	shop.send("customers/delete", {"id": record["id"]})
	shop.send("customers/update", {**record, "city": "Behind"})
	crm.faults.set(rates={"500": 1.0})
	assert [status for _, status in shop.handled()] == ["Completed", "Failed", "Queued"]


GITHUB = [
	("issues", {"issue": {}, "action": "deleted"}, False),
	("issues", {"pull_request": {}, "action": "closed"}, True),
	("issue_comment", {"issue": {}, "comment": {}}, False),
	("push", {"issue": {}}, True),
	("something_new", {"issue": {}}, False),
	("issues", {"action": "opened"}, False),
	("issues", [], False),
]


@pytest.mark.parametrize(("kind", "body", "wrong"), GITHUB)
def test_githubs_event_is_compared_with_its_body(kind, body, wrong):
	scheme = scheme_for(IntegrationConfig("x", webhook_scheme="GitHub"))
	assert bool(scheme.misfit(kind, body)) is wrong


def test_woocommerces_deletions_hold_an_id_alone():
	scheme = scheme_for(IntegrationConfig("x", webhook_scheme="WooCommerce"))
	assert not scheme.misfit("order.deleted", {"id": 1}) and not scheme.misfit(
		"order.updated", {"id": 1, "n": 2}
	)
	assert scheme.misfit("order.deleted", {"id": 1, "status": "completed"})


@pytest.mark.parametrize("name", SCHEMES)
def test_what_stands_in_an_unsigned_header_is_known_of_each_scheme(name):
	"""Where a scheme itself looks for ids and types in headers, it says which of them are signed."""
	scheme = scheme_for(IntegrationConfig("x", webhook_scheme=name))
	places = scheme.places
	unsigned = [h for h in (*places.id_headers, *places.type_headers) if h not in scheme.signed_headers]
	known = {"Bitbucket", "GitHub", "Shopify", "WooCommerce", "Twilio", "Razorpay"}
	assert bool(unsigned) is (name in known)


def test_the_page_on_security_says_what_each_scheme_signs():
	page = (ROOT / "docs/security.md").read_text().partition("### Webhooks that are sent again")[2]
	rows = [
		[cell.strip() for cell in line.strip("| ").split(" | ")] for line in page.splitlines() if "|" in line
	]
	told = {row[0]: (row[2], row[3]) for row in rows if row[0] in SCHEMES}
	assert told.keys() == SCHEMES.keys()

	parts = {"Mailgun": (), "PayPal": (), "Adyen": ("eventCode", "[eventCode, pspReference, success]")}

	def signs(scheme, headers, path, none):
		if isinstance(scheme.signed_headers, Everything) and (headers or path):
			return "as good as the body"
		if any(header not in scheme.signed_headers for header in headers):
			return "not signed"
		if name in parts and path not in parts[name]:
			return "not signed"
		return "signed" if headers or path else none

	for name, (id, type) in told.items():
		scheme = scheme_for(IntegrationConfig("x", webhook_scheme=name))
		places = scheme.places
		each = presets()[name].settings.get("event_id_source") == "Each Delivery Is an Event"
		none = "each delivery" if each else "hash of the body"
		assert id == signs(scheme, places.id_headers, places.id_path, none), name
		assert type == signs(scheme, places.type_headers, places.type_path, "none"), name


def test_a_full_run_heals_what_a_person_let_go(shop, crm):
	from integration_hub.sync.run import run_stream

	run_stream(shop.runtime, "customers-full")
	assert table(shop.runtime, "full") == source(crm)
