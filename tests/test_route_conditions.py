"""Routes with conditions: over the payload and the headers that are kept, where an event is received and handled."""

from __future__ import annotations

import json

import pytest

from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.events import Route, route_for
from integration_hub.webhooks.replay import preview
from tests.webhook_sender import Sender

ROUTES = """[[integration.crm.routes]]
event_pattern = "*"
condition = "data.status == 'draft'"
action = "Ignore"

[[integration.crm.routes]]
event_pattern = "*"
condition = "header.X-Shop-Topic == 'orders/paid' && data.total > `100`"
action = "Call Function"
handler = "note"

[[integration.crm.routes]]
"""
FIRST = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
SEEN: list[tuple[dict, dict]] = []


def note(payload, event):
	SEEN.append((payload, dict(event)))


@pytest.fixture
def sender(make_runtime):
	SEEN.clear()
	handlers = (FIRST, ROUTES + 'event_pattern = "customer.deleted"')
	named = ("[stream.customers-full]", f'[handlers]\nnote = "{__name__}.note"\n\n[stream.customers-full]')
	own = Sender(
		make_runtime,
		handlers,
		named,
		event_id_path="id",
		event_type_path="event",
		headers_to_keep="X-Shop-Region",
	)
	return own


def statuses(sender) -> list[str]:
	drain(sender.runtime, "crm")
	return [row["status"] for row in sender.rows()]


def test_the_first_route_counts_whose_condition_is_true(sender):
	sender.send(
		{"id": 1, "event": "x", "data": {"status": "draft", "total": 500}}, X_Shop_Topic="orders/paid"
	)
	sender.send(
		{"id": 2, "event": "x", "data": {"total": 500}}, X_Shop_Topic="orders/paid", X_Shop_Region="eu"
	)
	sender.send({"id": 3, "event": "x", "data": {"total": 5}}, X_Shop_Topic="orders/paid")
	sender.send({"id": 4, "event": "x", "data": {"total": 500}}, X_Shop_Topic="orders/created")
	sender.send({"id": 5, "event": "x", "data": "neither"})
	assert statuses(sender) == ["Completed", "Completed", "Unrouted", "Unrouted", "Unrouted"]
	[(payload, event)] = SEEN
	assert payload["id"] == 2
	assert event["header"]["X-Shop-Topic"] == event["header"].get("x-shop-topic") == "orders/paid"
	assert event["header"]["X-Shop-Region"] == "eu" and "X-Webhook-Signature" not in event["header"]
	with pytest.raises(KeyError):
		event["header"]["X-Nothing"]
	assert json.loads(sender.rows()[1]["headers"])["x-shop-topic"] == "orders/paid", (
		"a route names it, so it is kept"
	)


def test_what_an_event_would_do_goes_by_the_conditions(sender):
	sender.send({"id": 1, "event": "x", "data": {"status": "draft"}})
	sender.send({"id": 2, "event": "x", "data": {}})
	assert [effect.does for effect in preview(sender.runtime, [row["name"] for row in sender.rows()])] == [
		"The route of the event says to ignore it.",
		"No route matches the event, so it stays Unrouted.",
	]


@pytest.mark.parametrize(
	("value", "true"),
	[
		("`true`", True),
		("'no'", False),
		("`0`", False),
		("''", False),
		("`[]`", False),
		("nothing", False),
		("a", True),
	],
)
def test_a_condition_is_true_as_filters_are(value, true):
	assert (route_for([Route("*", condition=value)], "x", lambda: ({"a": 1}, {})) is not None) is true


def test_a_condition_that_costs_too_much_fails_where_a_person_sees_it(make_runtime):
	bomb = "|".join(["{a:@,b:@}"] * 16)
	route = f'[[integration.crm.routes]]\nevent_pattern = "x"\ncondition = "{bomb}"\naction = "Ignore"\n\n'
	sender = Sender(make_runtime, (FIRST, route + FIRST), event_id_path="id", event_type_path="event")
	assert sender.send({"id": 1, "event": "x", "long": "x" * 5000}) == "received"
	assert statuses(sender) == ["Failed"]
	assert "too much" in sender.rows()[0]["error"]


@pytest.mark.parametrize(
	"line",
	[
		'condition = "a =="',
		"condition = \"header.X-Webhook-Signature == 'x'\"",
		'condition = "header.Authorization"',
		'record_path = "header.Cookie"',
		'record_id_path = "{a}{b}"',
	],
)
def test_a_condition_that_cannot_be_used_is_refused_and_secrets_are(make_runtime, line):
	with pytest.raises(Exception, match=line.split()[0]):
		route = f'[[integration.crm.routes]]\nevent_pattern = "z"\naction = "Ignore"\n{line}\n\n'
		Sender(make_runtime, (FIRST, route + FIRST))


@pytest.mark.parametrize(
	"field", ["event_id_path", "event_type_path", "event_time_path", "ordering_key_path"]
)
def test_no_path_of_the_settings_reads_a_secret_header(make_runtime, field):
	with pytest.raises(Exception, match="credentials"):
		Sender(make_runtime, **{field: "header.X-Webhook-Signature"})


def test_headers_stand_beside_the_payload_in_ids_types_and_order(make_runtime):
	sender = Sender(
		make_runtime,
		event_id_path="{header.X-Shop-Id}-{n}",
		event_type_path="header.X-Shop-Topic",
		ordering_key_path="header.X-Shop-Order",
	)
	sender.send({"n": 1}, X_Shop_Id="a", X_Shop_Topic="t", X_Shop_Order="o")
	[row] = sender.rows()
	assert (row["event_id"], row["event_type"], row["ordering_key"]) == ("a-1", "t", "o")
	assert row["unsigned"] == "id, type", "an HMAC of the body does not cover them"
	sender.send({"n": 2, "header": {"X-Shop-Topic": "own"}}, X_Shop_Id="a", X_Shop_Topic="t")
	assert sender.rows()[1]["event_type"] == "own", "the body's own goes before"


def test_a_mapping_reads_headers_and_what_is_around_an_event(make_runtime, crm):
	sender = Sender(
		make_runtime,
		('city = "city"', 'city = "header.X-Shop-Region"'),
		('email = "email"', 'email = "^.account"'),
		events_path="events",
		event_id_path="id",
		event_type_path="event",
		headers_to_keep="X-Shop-Region",
	)
	record = crm.customers.alive()[0]
	sender.send(
		{"account": "acc", "events": [{"id": 1, "event": "customer.created", "data": record}]},
		X_Shop_Region="eu",
	)
	assert statuses(sender) == ["Completed"]
	[row] = sender.runtime.db.query("SELECT * FROM `tabSandbox Customer`")
	assert (row["customer_id"], row["city"], row["email"]) == (record["id"], "eu", "acc")


def test_a_deletion_by_a_header_that_is_not_signed_is_confirmed(make_runtime):
	condition = 'condition = "header.X-Shop-Topic == \'gone\'"\naction = "Delete Record"'
	sender = Sender(
		make_runtime,
		(
			'event_pattern = "customer.deleted"\naction = "Delete Record"',
			f'event_pattern = "customer.deleted"\n{condition}',
		),
		event_id_path="id",
		event_type_path="event",
	)
	sender.send({"id": 1, "event": "customer.deleted", "data": {"id": "CUST-1"}}, X_Shop_Topic="gone")
	assert sender.rows()[0]["unsigned"] == ""
	[effect] = preview(sender.runtime, [sender.rows()[0]["name"]])
	assert (effect.action, effect.does[:15]) == ("Call", "Asks the source")
	assert statuses(sender) == ["Conflict"], "nothing confirms it: the stream has no Endpoint of One Record"


@pytest.mark.parametrize(
	("kept", "answer", "status"), [(True, "received", "Completed"), (False, "unrouted", "Unrouted")]
)
def test_a_condition_sees_around_an_event_only_what_is_kept(make_runtime, kept, answer, status):
	"""The answer to the sender, and what becomes of the event, are by the same look at it."""
	routes = (FIRST, f'[[integration.crm.routes]]\ncondition = "\\"^\\".live"\naction = "Ignore"\n\n{FIRST}')
	sender = Sender(make_runtime, routes, events_path="events", event_id_path="id", keep_outer=kept)
	assert sender.send({"live": True, "events": [{"id": 1}]}) == answer
	assert statuses(sender) == [status]
