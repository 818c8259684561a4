"""Fetch Record: the event carries an id, the system is asked once, and its answer goes through the stream."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from integration_hub.connectors.errors import RetryLater
from integration_hub.connectors.transport import Transport
from integration_hub.stores.database import update
from integration_hub.webhooks import source_confirmation
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.replay import preview
from tests.compare import table
from tests.webhook_sender import Sender

ROUTE = '[[integration.crm.routes]]\nevent_pattern = "thin.*"\naction = "Fetch Record"\nstream = "customers-full"\n'
FIRST = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
STREAM = '[stream.customers-full]\nintegration = "crm"\n'
ENDPOINT = 'record_endpoint = "/v1/customers/{id}"\n'


def made(make_runtime, route: str = 'record_id_path = "about.id"\n', stream: str = ENDPOINT) -> Sender:
	return Sender(
		make_runtime,
		(FIRST, f"{ROUTE}{route}\n{FIRST}"),
		(STREAM, STREAM + stream),
		event_id_path="id",
		event_type_path="event",
	)


def handled(sender) -> list[str]:
	drain(sender.runtime, "crm")
	return [row["status"] for row in sender.rows()]


def names(sender) -> list[str]:
	return [row["customer_id"] for row in table(sender.runtime, "full")]


@pytest.mark.parametrize(
	("route", "about"),
	[
		('record_id_path = "about.id"\n', {"about": {"id": "{}"}}),
		('record_id_path = "{about.kind}-{about.n}"\n', None),
		('record_path = "data"\n', {"data": {"id": "{}"}}),
		('record_id_path = "header.X-Resource"\n', {}),
	],
)
def test_the_record_that_an_event_names_is_fetched_and_written(make_runtime, crm, route, about):
	sender = made(make_runtime, route)
	record = crm.customers.alive()[0]
	kind, _, number = record["id"].partition("-")
	body = {"about": {"kind": kind, "n": number}} if about is None else _filled(about, record["id"])
	sender.send({"id": 1, "event": "thin.changed", **body}, X_Resource=record["id"])
	assert handled(sender) == ["Completed"]
	[row] = table(sender.runtime, "full")
	assert (row["customer_id"], row["customer_name"]) == (record["id"], record["name"])
	assert sender.rows()[0]["reference_name"]


def _filled(value, text):
	return {k: _filled(v, text) for k, v in value.items()} if isinstance(value, dict) else value.format(text)


@pytest.fixture
def asked(monkeypatch) -> list[str]:
	"""Note the URLs that are asked, each as it goes out."""
	urls: list[str] = []
	exchange = Transport.exchange

	def noted(self, method, url, *given, **more):
		urls.append(url)
		return exchange(self, method, url, *given, **more)

	monkeypatch.setattr(Transport, "exchange", noted)
	return urls


def test_nothing_waits_for_the_answer_in_a_transaction(make_runtime, crm, monkeypatch):
	"""Between two events that are written together, the source is asked: what was written is committed before."""
	sender, open_then = made(make_runtime), []
	exchange = Transport.exchange

	def watched(self, *given, **more):
		open_then.append(sender.runtime.db._connection.in_transaction)
		return exchange(self, *given, **more)

	monkeypatch.setattr(Transport, "exchange", watched)
	first, second = crm.customers.alive()[:2]
	sender.send({"id": 1, "event": "customer.created", "data": first})
	sender.send({"id": 2, "event": "thin.changed", "about": {"id": second["id"]}})
	sender.send({"id": 3, "event": "customer.updated", "data": first})
	assert handled(sender) == ["Completed"] * 3
	assert open_then and not any(open_then)


def test_the_state_of_now_is_written_however_old_the_event(make_runtime, crm):
	sender = made(make_runtime)
	record = crm.customers.alive()[0]
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": record["id"]}})
	crm.customers.set(record["id"], city="Newtown")
	sender.send({"id": 2, "event": "thin.changed", "about": {"id": record["id"]}})
	assert handled(sender) == ["Completed", "Completed"]
	assert [row["city"] for row in table(sender.runtime, "full")] == ["Newtown"]
	keys = {row["ordering_key"] for row in sender.rows()}
	assert len(keys) == 1 and "" not in keys, "fetches of one record wait for each other"


def test_a_record_that_is_gone_fails_for_a_person_unless_it_is_to_be_deleted(make_runtime, crm):
	sender = made(make_runtime)
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": "NONE-1"}})
	assert handled(sender) == ["Failed"]
	assert "has no record 'NONE-1'" in sender.rows()[0]["error"]


@pytest.mark.parametrize(("policy", "left"), [("Delete", 0), ("Keep", 1)])
def test_a_record_that_is_gone_is_deleted_by_setting_as_the_policy_says(make_runtime, crm, policy, left):
	sender = made(make_runtime, 'record_id_path = "about.id"\ndelete_if_gone = true\n')
	update(sender.runtime.db, "Sync Settings", "customers-full", {"deletion_policy": policy})
	record = crm.customers.alive()[0]
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": record["id"]}})
	assert handled(sender) == ["Completed"]
	crm.customers.delete(250)
	sender.send({"id": 2, "event": "thin.changed", "about": {"id": record["id"]}})
	sender.send({"id": 3, "event": "thin.changed", "about": {"id": "NEVER-THERE"}})
	assert handled(sender) == ["Completed"] * 3
	assert len(names(sender)) == left


def test_a_pause_that_the_system_asks_for_is_no_failed_attempt(make_runtime, crm, monkeypatch):
	sender = made(make_runtime)

	def paused(*_given) -> None:
		raise RetryLater(1800, "The rate budget is used up.")

	monkeypatch.setattr("integration_hub.webhooks.handle.ask", paused)
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": "CUST-1"}})
	assert handled(sender) == ["Queued"]
	[row] = sender.rows()
	assert (row["attempts"], row["deferrals"]) == (0, 1)
	assert "rate budget" in row["error"]


def test_an_answer_that_is_another_record_is_not_written(make_runtime, crm):
	other = crm.customers.alive()[1]["id"]
	sender = made(make_runtime, stream=f'record_endpoint = "/v1/customers/{other}?asked={{id}}"\n')
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": crm.customers.alive()[0]["id"]}})
	assert handled(sender) == ["Failed"]
	assert "not the record" in sender.rows()[0]["error"] and names(sender) == []


def test_without_an_endpoint_of_one_record_it_waits_for_a_person(make_runtime):
	sender = made(make_runtime, stream="")
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": "CUST-1"}})
	assert handled(sender) == ["Conflict"]
	assert "Endpoint of One Record" in sender.rows()[0]["error"]


def test_an_event_without_the_id_fails_and_an_id_is_no_path(make_runtime, crm, asked):
	sender = made(make_runtime)
	sender.send({"id": 1, "event": "thin.changed"})
	sender.send({"id": 2, "event": "thin.changed", "about": {"id": "../admin?x=1"}})
	assert handled(sender) == ["Failed", "Failed"]
	paths = [urlsplit(url).path for url in asked]
	assert paths == ["/oauth/token", "/v1/customers/..%2Fadmin%3Fx%3D1"]


def test_what_it_would_do_is_named_and_not_done(make_runtime, monkeypatch):
	sender = made(make_runtime)
	sender.send({"id": 1, "event": "thin.changed", "about": {"id": "CUST-1"}})
	monkeypatch.setattr(source_confirmation, "ask", None)
	[effect] = preview(sender.runtime, [sender.rows()[0]["name"]])
	assert (effect.action, effect.does) == (
		"Call",
		"Asks the source for the record, and writes what it answers: customers-full",
	)


def test_it_needs_a_stream(make_runtime):
	with pytest.raises(Exception, match="Fetch Record needs a stream"):
		Sender(
			make_runtime,
			(FIRST, '[[integration.crm.routes]]\nevent_pattern = "x"\naction = "Fetch Record"\n\n' + FIRST),
		)
