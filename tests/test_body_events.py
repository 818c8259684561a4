"""One body, many events: how a body is taken apart, what each event is known by, and that nothing of it is lost."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.redact import Redactor
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores import inbox
from integration_hub.webhooks import body_events, splitting
from integration_hub.webhooks.bodies import Reading, parse_body
from integration_hub.webhooks.body_events import read_events
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.events import EventReader, EventRules, Route
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.settings_checks import Registered, endpoint_problems
from integration_hub.webhooks.splitting import split, split_path, split_path_problem
from tests.webhook_sender import Sender


def events(payload, routes=(), known=None, headers=None, **settings) -> list[inbox.Event]:
	config = IntegrationConfig("x", **{"event_type_path": "event", **settings})
	body = json.dumps(payload).encode()
	reader = EventReader(EventRules(config, routes, known=known), "HTTP", headers or {})
	return read_events(reader, body, parse_body(body, how=Reading.of(config)))


@pytest.mark.parametrize(
	("path", "lists", "tail"),
	[
		("[]", ("",), ""),
		("events", ("events",), ""),
		("events[]", ("events",), ""),
		("data.events[*]", ("data.events",), ""),
		("entry[].changes[]", ("entry", "changes"), ""),
		("entry[].(changes || messaging)[]", ("entry", "(changes || messaging)"), ""),
		("notificationItems[].NotificationRequestItem", ("notificationItems",), "NotificationRequestItem"),
		("[].items[]", ("", "items"), ""),
		('"a[]b"[]', ('"a[]b"',), ""),
		("Envelope.Body.notifications.Notification[]", ("Envelope.Body.notifications.Notification",), ""),
	],
)
def test_a_path_of_lists_is_read(path, lists, tail):
	assert split_path(path) == splitting.SplitPath(lists, tail)
	assert split_path_problem(path) is None


@pytest.mark.parametrize("path", ["a[", "a..b[]", "[].[", "nosuch(@)[]"])
def test_a_path_that_is_none_is_refused_where_it_is_set(path):
	config = IntegrationConfig("x", events_path=path)
	known = Registered({}, (), lambda _name: True, lambda _name: "")
	assert [field for field, _ in endpoint_problems(config, [], known)] == ["events_path"]


def test_each_event_has_an_id_type_time_and_order_of_its_own(make_runtime):
	sender = Sender(
		make_runtime,
		events_path="entry[].changes[]",
		event_id_path="{^.id}-{value.n}",
		event_type_path="{^.^.object}.{field}",
		event_time_path="value.at",
		ordering_key_path="value.order",
	)
	change = {"field": "feed", "value": {"n": 1, "at": 1700000000, "order": "o1"}}
	other = {"field": "likes", "value": {"n": 2, "at": "2026-01-02T03:04:05Z", "order": "o2"}}
	body = {
		"object": "page",
		"entry": [{"id": "p1", "changes": [change, other]}, {"id": "p2", "changes": [change]}],
	}
	assert sender.send(body) == "unrouted"
	found = [
		(row["event_id"], row["event_type"], row["event_time"][:16], row["ordering_key"])
		for row in sender.rows()
	]
	assert found == [
		("p1-1", "page.feed", "2023-11-14T22:13", "o1"),
		("p1-2", "page.likes", "2026-01-02T03:04", "o2"),
		("p2-1", "page.feed", "2023-11-14T22:13", "o1"),
	]
	kept = json.loads(sender.rows()[1]["payload"])
	assert kept == {**other, "^": {"id": "p1", "^": {"object": "page"}}}
	assert sender.send(body) == "duplicate"
	assert [row["deliveries"] for row in sender.rows()] == [2, 2, 2]


def test_what_is_around_an_event_is_kept_only_if_it_is_to_be():
	[event] = events(
		{"live": "false", "list": [{"item": {"a": 1}}]}, events_path="list[].item", keep_outer=False
	)
	assert json.loads(event.payload) == {"a": 1}
	[event] = events({"live": "false", "list": [{"item": {"a": 1}}]}, events_path="list[].item")
	assert json.loads(event.payload) == {"a": 1, "^": {"live": "false"}}
	[event] = events({"data": {"x": 1, "list": [{}]}}, events_path="data.list[]")
	assert json.loads(event.payload) == {"^": {"data": {"x": 1}}}


def test_a_bad_item_is_an_event_that_a_person_sees_and_keeps_no_other_out(make_runtime):
	sender = Sender(make_runtime, events_path="events", event_id_path="id", event_type_path="event")
	body = {"events": [{"id": 1, "event": "a"}, 7, None, "text", [1], {"id": 2, "event": "a"}]}
	assert sender.send(body) == "conflict"
	assert [(row["status"], row["payload"]) for row in sender.rows()] == [
		("Unrouted", '{"id": 1, "event": "a"}'),
		("Conflict", "7"),
		("Conflict", "null"),
		("Conflict", '"text"'),
		("Conflict", "[1]"),
		("Unrouted", '{"id": 2, "event": "a"}'),
	]
	assert all("other than an object" in row["error"] for row in sender.rows() if row["status"] == "Conflict")
	assert sender.send(body) == "duplicate", "what its sender repeats is known, the bad ones too"
	assert len(sender.rows()) == 6


@pytest.mark.parametrize(
	("body", "count"),
	[({"entry": []}, 0), ({"entry": [{"changes": []}]}, 0), ({"other": 1}, 1), ({"entry": None}, 1), ([], 0)],
)
def test_a_body_without_the_list_is_one_event_for_a_person_and_an_empty_list_is_none(
	make_runtime, body, count
):
	path = "[]" if body == [] else "entry[].changes[]"
	sender = Sender(make_runtime, events_path=path, event_type_path="event")
	assert sender.send(body) == ("conflict" if count else "no_events")
	assert [json.loads(row["payload"]) for row in sender.rows()] == [body] * count


def test_an_element_without_the_inner_list_waits_for_a_person_beside_the_others():
	found = events({"entry": [{"changes": [{"a": 1}]}, {"messaging": []}]}, events_path="entry[].changes[]")
	assert [bool(event.held) for event in found] == [False, True]
	assert json.loads(found[1].payload) == {"messaging": []}


def test_an_object_where_a_list_should_be_is_the_one_event():
	[event] = events({"events": {"id": "a"}}, events_path="events[]")
	assert (event.event_id, event.held) == ("a", "")


def test_an_id_of_the_delivery_is_made_one_of_the_event():
	batch_of_two = {"delivery": "d", "events": [{"n": 1}, {"n": 2}]}
	for settings in (
		{"event_id_header": "X-Delivery"},
		{"event_id_path": "header.X-Delivery"},
		{"event_id_path": "^.delivery"},
		{"event_id_path": "[^.delivery, header.X-Delivery]"},
		{"event_id_path": "{header.X-Delivery}/{^.delivery}"},
	):
		found = events(batch_of_two, headers={"x-delivery": "d"}, events_path="events", **settings)
		assert len({event.event_id for event in found}) == 2
		assert all(event.event_id.startswith("d") for event in found)
	found = events(batch_of_two, events_path="events", event_id_path="{^.delivery}-{n}")
	assert [event.event_id for event in found] == ["d-1", "d-2"]


def test_equal_elements_in_different_surroundings_are_two_events_and_in_the_same_ones_one():
	same = {"entry": [{"id": "p", "changes": [{"a": 1}, {"a": 1}]}, {"id": "q", "changes": [{"a": 1}]}]}
	found = events(same, events_path="entry[].changes[]")
	assert len({event.event_id for event in found}) == 2
	assert len({event.body_hash for event in found}) == 1


def test_an_item_that_holds_a_secret_where_its_id_is_keeps_no_other_out():
	known = KnownSecrets(Redactor(["a-very-secret-value"]))
	found = events([{"id": "a-very-secret-value"}, {"id": "b"}], events_path="[]", known=known)
	assert [bool(event.held) for event in found] == [True, False]
	assert "a-very-secret-value" not in (found[0].event_id + found[0].event_type + found[0].ordering_key)


def test_a_body_of_too_many_events_is_one_for_a_person(monkeypatch):
	monkeypatch.setattr(splitting, "MOST_EVENTS", 3)
	assert len(events([{"n": n} for n in range(3)], events_path="[]")) == 3
	[event] = events([{"n": n} for n in range(4)], events_path="[]")
	assert "more than 3" in event.held and len(json.loads(event.payload)) == 4


def test_what_is_around_many_events_is_not_multiplied_without_end(monkeypatch):
	monkeypatch.setattr(body_events, "_MOST_CHARACTERS", 1000)
	found = events({"large": "x" * 400, "events": [{"id": 1}, {"id": 2}, {"id": 3}]}, events_path="events")
	assert [json.loads(event.payload) for event in found] == [{"id": 1}, {"id": 2}, {"id": 3}]
	assert all("left out" in event.held for event in found)


def test_numbers_keep_their_digits_in_each_event():
	body = b'{"events": [{"id": "a", "price": 99999999999999.99, "n": 12345678901234567890, "r": 1.10}]}'
	config = IntegrationConfig("x", events_path="events")
	payload = parse_body(body, how=Reading.of(config))
	[event] = read_events(EventReader(EventRules(config, []), "HTTP", {}), body, payload)
	assert event.payload == '{"id": "a", "price": 99999999999999.99, "n": 12345678901234567890, "r": 1.10}'


JSON = st.recursive(
	st.none()
	| st.booleans()
	| st.integers(-(2**70), 2**70)
	| st.floats(allow_nan=False, allow_infinity=False)
	| st.text(),
	lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
	max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=5).filter(lambda key: key != "^"), JSON, max_size=4)


@given(st.lists(st.tuples(OBJECTS, st.lists(JSON, max_size=4)), max_size=5), OBJECTS)
def test_whatever_stands_in_the_lists_becomes_an_event_once(entries, around):
	"""The elements of all lists, in their order, and nothing else; objects unchanged but for what is around them."""
	payload = {**around, "entry": [{**own, "changes": changes} for own, changes in entries]}
	elements = [change for _own, changes in entries for change in changes]
	found = events(payload, events_path="entry[].changes[]")
	kept = [json.loads(event.payload) for event in found]
	for value in kept:
		if isinstance(value, dict):
			value.pop("^", None)
	bare = [{k: v for k, v in e.items() if k != "^"} if isinstance(e, dict) else e for e in elements]
	assert kept == bare
	assert [bool(event.held) for event in found] == [not isinstance(element, dict) for element in elements]
	assert all(len(event.event_type) <= 140 for event in found)


@given(
	st.data(),
	st.lists(
		st.dictionaries(st.sampled_from("abid"), st.integers(0, 3) | st.text(max_size=3)),
		min_size=1,
		max_size=6,
	),
)
def test_the_order_of_a_list_changes_no_key(data, items):
	shuffled = data.draw(st.permutations(items))
	settings = {"events_path": "events", "event_id_path": "id", "event_type_path": "a"}
	first, second = (events({"events": some, "n": 1}, **settings) for some in (items, shuffled))
	assert sorted(e.body_key for e in first) == sorted(e.body_key for e in second)
	assert sorted(e.key for e in first) == sorted(e.key for e in second)


@given(JSON, st.sampled_from(["[]", "a[]", "a[].b[]", "a[].b", "[][]", "(a || b)[]", "@[]"]))
def test_any_json_at_any_path_is_taken_apart_without_an_error(payload, path):
	if isinstance(payload, dict | list):
		for item in split(payload, split_path(path)):
			assert item.problem or isinstance(item.value, dict)


@given(st.lists(st.text(), min_size=3, max_size=3), st.lists(st.text(), min_size=3, max_size=3))
def test_no_two_lists_of_parts_make_one_id(first, second):
	def made(parts) -> str:
		return events(dict(zip("abc", parts, strict=True)), event_id_path="{a}-{b}/{c}")[0].event_id

	stored = [[part.replace("\x00", "") for part in parts] for parts in (first, second)]
	if all(map(all, stored)) and stored[0] != stored[1]:
		assert made(first) != made(second)


@pytest.mark.parametrize(
	("a", "b", "made"),
	[
		("42", "paid", "42-paid"),
		("1", "2-3", "1-2-3"),
		("1-2", "3", "1\\-2-3"),
		(7, 8, "7-8"),
		("a", "", None),
		("a", {}, None),
	],
)
def test_an_id_is_composed_of_parts_and_a_missing_one_leaves_the_hash(a, b, made):
	[event] = events({"a": a, "b": b}, event_id_path="{a}-{b}")
	assert event.event_id == (made or event.body_hash)


def test_a_composed_type_leaves_out_what_is_missing():
	headers = {"x-github-event": "issues"}
	path = "{header.X-GitHub-Event}.{action}"
	assert (
		events({"action": "opened"}, headers=headers, event_type_path=path)[0].event_type == "issues.opened"
	)
	assert events({}, headers=headers, event_type_path=path)[0].event_type == "issues"


@pytest.mark.parametrize("path", ["{a}{b}", "{a}-{b", "{a..b}-x", "{}-{a}", "{nosuch(@)}-{a}", "{a: b}-{c}"])
def test_a_composed_path_that_cannot_be_read_is_refused(path):
	config = IntegrationConfig("x", event_id_path=path)
	assert [field for field, _ in integration_problems(config, {}) if field == "event_id_path"] == [
		"event_id_path"
	]


def test_a_jmespath_with_braces_stays_one():
	[event] = events({"id": 1, "kind": "k"}, event_id_path="{id: id}.id", event_type_path="[kind, id][0]")
	assert (event.event_id, event.event_type) == ("1", "k")


def test_all_of_a_body_is_stored_in_one_transaction(make_runtime, monkeypatch):
	sender = Sender(make_runtime, events_path="[]", event_id_path="id")
	sender.send([{"id": "known"}])
	real = inbox._count_deliveries
	monkeypatch.setattr(inbox, "_count_deliveries", lambda *_: 1 / 0)
	body = [{"id": "a"}, {"id": "known"}, {"id": "b"}]
	assert sender.send(body) == "not_stored"
	assert [row["event_id"] for row in sender.rows()] == ["known"]
	monkeypatch.setattr(inbox, "_count_deliveries", real)
	assert sender.send(body) == "unrouted"
	assert sorted(row["event_id"] for row in sender.rows()) == ["a", "b", "known"]


def test_the_verdicts_of_one_body_are_those_of_its_events_one_by_one(make_runtime):
	"""Repeats, other bodies and new ones under one id, in one body, in each order: the same rows as one at a time."""
	bodies = [{"id": "1", "n": 1}, {"id": "1", "n": 1}, {"id": "1", "n": 2}, {"id": "2", "n": 1}]
	together = Sender(make_runtime, events_path="[]", event_id_path="id")
	for number, order in enumerate(sorted(set(permutations(range(4))))[::5]):
		own = [{**bodies[place], "id": f"{number}-{bodies[place]['id']}"} for place in order]
		together.send(own)
		rows = [row for row in together.rows() if row["event_id"].startswith(f"{number}-")]
		assert sorted((row["status"], row["deliveries"]) for row in rows) == sorted(_one_by_one(own))


def _one_by_one(own: list[dict]) -> list[tuple[str, int]]:
	"""Return states and deliveries that a list comes to, by the rule: the first body of an id is it, another a conflict."""
	first: dict[str, dict] = {}
	counted: dict[str, int] = {}
	for body in own:
		key = json.dumps(body)
		first.setdefault(body["id"], body)
		counted[key] = counted.get(key, 0) + 1
	return [
		("Unrouted" if first[json.loads(key)["id"]] == json.loads(key) else "Conflict", count)
		for key, count in counted.items()
	]


@pytest.mark.slow
def test_32_deliveries_of_a_batch_at_once_are_each_event_once(make_runtime, tmp_path):
	sender = Sender(make_runtime, events_path="events", event_id_path="id", event_type_path="event")
	body = {"events": [{"id": f"e{n}", "event": "a"} for n in range(50)]}
	request = sender.request(body)
	path = tmp_path / "hub.toml"

	def deliver(_number: int) -> int:
		with StandaloneRuntime(path) as own:
			return receive(own, request).status

	with ThreadPoolExecutor(32) as pool:
		answers = list(pool.map(deliver, range(32)))
	accepted = sum(status < 300 for status in answers)
	assert set(answers) <= {200, 202, 503}
	rows = sender.rows()
	assert sorted(row["event_id"] for row in rows) == sorted(f"e{n}" for n in range(50))
	assert {row["deliveries"] for row in rows} == {accepted}


def test_each_event_of_a_body_takes_its_own_route(make_runtime, crm):
	sender = Sender(
		make_runtime,
		events_path="[]",
		event_id_path="id",
		event_type_path="event",
		ordering_key_path="data.id",
	)
	alive = crm.customers.alive()[:3]
	kinds = ["customer.created", "customer.created", "customer.deleted"]
	body = [
		{"id": f"e{n}", "event": kind, "data": record}
		for n, (kind, record) in enumerate(zip(kinds, alive, strict=True))
	]
	assert sender.send([*body, {"id": "z", "event": "other"}]) == "unrouted"
	drain(sender.runtime, "crm")
	assert [row["status"] for row in sender.rows()] == ["Completed", "Completed", "Completed", "Unrouted"]
	assert {row["ordering_key"] for row in sender.rows()} == {*(record["id"] for record in alive), ""}


def test_a_plain_body_is_read_as_before():
	"""Ids, hashes and texts of an integration that sets none of this are what they were."""
	raw = b'{"id": "7",  "event": "x", "price": 1.10, "^": 1, "header": {"a": 1}}'
	config = IntegrationConfig("x", event_type_path="event")
	reader = EventReader(EventRules(config, [Route("x")]), "HTTP", {})
	[event] = read_events(reader, raw, parse_body(raw, how=Reading.of(config)))
	assert (event.event_id, event.event_type, event.payload) == ("7", "x", raw.decode())
	assert event.body_hash == hashlib.sha256(raw).hexdigest()


def test_each_delivery_of_a_batch_may_be_events_of_its_own(make_runtime):
	sender = Sender(make_runtime, events_path="[]", event_id_source="Each Delivery Is an Event")
	for _ in range(2):
		assert sender.send([{"n": 1}, {"n": 1}]) == "unrouted"
	assert len({row["event_id"] for row in sender.rows()}) == 4


@pytest.mark.parametrize(
	("setting", "answer", "count"),
	[("", "conflict", 2), ("Duplicate", "duplicate", 1), ("New", "unrouted", 2)],
)
def test_the_same_id_with_another_element_is_what_the_setting_says(make_runtime, setting, answer, count):
	sender = Sender(make_runtime, events_path="[]", event_id_path="id", same_id_other_body=setting)
	sender.send([{"id": "a", "n": 1}])
	assert sender.send([{"id": "a", "n": 2}]) == answer
	assert len(sender.rows()) == count


def test_the_same_element_in_another_batch_is_a_duplicate(make_runtime):
	"""A sender may repeat an element among others: where the element has an id, what is around it does not count."""
	sender = Sender(make_runtime, events_path="events", event_id_path="id")
	sender.send({"batch": 1, "events": [{"id": "a"}, {"id": "b"}]})
	assert sender.send({"batch": 2, "events": [{"id": "b"}]}) == "duplicate"
	assert [row["deliveries"] for row in sender.rows()] == [1, 2]


def test_a_type_is_part_of_the_key_of_each_event(make_runtime):
	sender = Sender(make_runtime, events_path="[]", event_id_path="id", event_type_path="event")
	assert sender.send([{"id": "a", "event": "x"}, {"id": "a", "event": "y"}]) == "unrouted"
	assert [(row["event_id"], row["event_type"]) for row in sender.rows()] == [("a", "x"), ("a", "y")]


def test_an_event_that_was_stored_before_is_known_when_it_comes_again(make_runtime):
	"""Keys are what they were: of integration, id and type, with the hash of the body where there is no id."""
	sender = Sender(make_runtime, event_type_path="event", event_id_path="id")
	for body in ({"id": "old", "event": "x"}, {"event": "y", "n": 1}):
		raw = json.dumps(body).encode()
		body_hash = hashlib.sha256(raw).hexdigest()
		known = inbox.Event("crm", body.get("id", body_hash), body["event"], raw.decode(), body_hash, "HTTP")
		inbox.store(sender.runtime, [known])
		assert sender.send(raw) == "duplicate"
