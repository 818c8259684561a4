"""Several actions of one event, in one transaction, and the functions with which handlers write through streams."""

from __future__ import annotations

import json

import pytest

from integration_hub import records
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.records import RecordsFailed
from integration_hub.webhooks.replay import preview
from tests.webhook_sender import Sender

FIRST = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'


def route(pattern: str, **values: object) -> str:
	"""Return a route as hub.toml has it."""
	lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
	return f'[[integration.crm.routes]]\nevent_pattern = "{pattern}"\n{lines}\n'


def first(*routes: str) -> tuple[str, str]:
	"""Return the replacement that puts routes before the example's."""
	return FIRST, "".join(routes) + FIRST


ROUTES = (
	route("order.*", stream="customers-full", record_path="data.customer", go_on=True),
	route("order.*", condition="data.paid", action="Call Function", handler="note", go_on=True),
	route("order.*", condition="data.stop", action="Call Function", handler="act"),
	route("order.*", action="Call Function", handler="note"),
	route("order.*", action="Call Function", handler="act"),
)
SEEN: list[str] = []
ACT: list = []


def note(payload, event):
	SEEN.append(payload["data"]["customer"]["id"])


def act(payload, event):
	ACT[0]()


@pytest.fixture
def sender(make_runtime):
	SEEN.clear()
	ACT[:] = [lambda: None]
	named = (
		"[stream.customers-full]",
		f'[handlers]\nnote = "{__name__}.note"\nact = "{__name__}.act"\n\n[stream.customers-full]',
	)
	return Sender(make_runtime, first(*ROUTES), named, event_id_path="id", event_type_path="event")


def send(sender, number: int, **data) -> str:
	sender.send({"id": number, "event": "order.paid", "data": {"customer": customer(number), **data}})
	drain(sender.runtime, "crm")
	return sender.rows()[-1]["status"]


def customer(number: int, **values) -> dict:
	return {
		"id": f"X-{number}",
		"name": f"Name {number}",
		"email": f"{number}@example.com",
		"active": True,
		**values,
	}


def stored(sender) -> list[str]:
	sql = "SELECT `customer_id` FROM `tabSandbox Customer` WHERE `customer_id` LIKE 'X-%%' ORDER BY `customer_id`"
	return [row["customer_id"] for row in sender.runtime.db.query(sql, [])]


def test_routes_act_one_after_the_other_as_long_as_each_goes_on(sender):
	assert send(sender, 1, paid=True) == "Completed"
	assert (stored(sender), SEEN) == (["X-1"], ["X-1", "X-1"])
	assert send(sender, 2) == "Completed"
	assert SEEN[2:] == ["X-2"], "its condition is not true, and the last route ends the chain"


def test_what_one_route_fails_with_undoes_them_all(sender):
	def fail():
		raise ValueError("no")

	ACT[0] = fail
	assert send(sender, 1, stop=True) == "Failed"
	assert stored(sender) == []


def test_a_dry_run_says_what_each_route_does(sender):
	send(sender, 1, paid=True)
	[effect] = preview(sender.runtime, [sender.rows()[-1]["name"]])
	assert effect.does.count("Call Function: note") == 2


def test_a_handler_writes_looks_up_and_removes_through_streams(sender):
	found = []

	def work():
		found.append(records.upsert("customers-full", [customer(7), customer(8)]))
		found.append(records.document_of("customers-full", "X-7"))
		found.append(records.external_id_of(found[1], "customers-full"))
		records.delete("customers-full", ["X-8", "X-9"])
		found.append(records.document_of("customers-full", "X-8"))

	ACT[0] = work
	assert send(sender, 1, stop=True) == "Completed"
	assert found == [{"X-7": found[1], "X-8": found[0]["X-8"]}, found[1], "X-7", None]
	assert stored(sender) == ["X-1", "X-7"]


def test_what_a_handler_cannot_write_fails_the_event_whole(sender):
	ACT[0] = lambda: records.upsert("customers-full", [customer(7), customer(8, credit_limit="a lot")])
	assert send(sender, 1, stop=True) == "Failed"
	assert stored(sender) == []
	assert "X-8" in sender.rows()[-1]["error"]


def test_a_handler_binds_a_document_that_is_there(sender):
	said = []

	def attempt(work) -> None:
		try:
			work()
		except (HubError, RecordsFailed) as error:
			said.append(str(error))

	def work():
		name = records.document_of("customers-full", "X-1")
		attempt(lambda: records.bind("customers-full", "Y-1", name))
		attempt(lambda: records.bind("customers-full", "Y-1", "nobody"))
		attempt(lambda: records.upsert("nothing", []))
		records.delete("customers-full", ["X-1"])
		db = sender.runtime.db
		db.execute("INSERT INTO `tabSandbox Customer` (`name`, `customer_id`) VALUES ('by hand', 'X-0')", [])
		records.bind("customers-full", "Y-1", "by hand")
		records.bind("customers-full", "Y-1", "by hand")
		attempt(lambda: records.bind("customers-full", "Y-1", "X-1"))
		assert records.document_of("customers-full", "Y-1") == "by hand"
		records.upsert("customers-full", [customer(1, id="Y-1", name="Written")])

	ACT[0] = work
	assert send(sender, 1, stop=True) == "Completed", sender.rows()[-1]["error"]
	assert ["is bound to record 'X-1' already" in said[0], "does not exist" in said[1]] == [True, True], said
	row = sender.runtime.db.query("SELECT * FROM `tabSandbox Customer` WHERE `name` = 'by hand'")[0]
	assert row["customer_id"] == "Y-1", "it is the stream's from now on"


def test_without_a_runtime_it_says_so(monkeypatch):
	with pytest.raises(HubError, match="handlers of events"):
		records.document_of("customers-full", "X-1")


def test_what_is_held_undoes_what_routes_before_it_have_done(make_runtime):
	routes = first(
		route("*", stream="customers-full", record_path="data", go_on=True),
		route("gone", action="Delete Record", stream="customers-incremental", record_path="data"),
	)
	own = Sender(make_runtime, routes, event_id_path="id", event_type_header="X-Event")
	own.send({"id": 1, "data": customer(1)}, X_Event="gone")
	drain(own.runtime, "crm")
	assert own.rows()[-1]["status"] == "Conflict", own.rows()[-1]["error"]
	assert stored(own) == []
