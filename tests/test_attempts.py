"""An event keeps its attempts, the headers a person lists, and how it differs from one it is in conflict with."""

from __future__ import annotations

import json

import pytest

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_headers import header_problems
from integration_hub.sandbox import sender
from integration_hub.stores import claims
from integration_hub.stores.attempts import KEPT, Attempt, attempts, with_attempt
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks import Defer
from integration_hub.webhooks.difference import MOST, difference, payload_differences
from integration_hub.webhooks.drain import drain, sweep
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.replay import replay

ROUTE = '[[integration.crm.routes]]\nevent_pattern = "call.*"\naction = "Call Function"\nhandler = "act"\n\n'
FIRST = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
HANDLERS = '[handlers]\nact = "tests.test_attempts.act"\n\n[hub]'


def act(payload: dict, event: dict) -> None:
	if payload.get("does") == "fail":
		raise ValueError("password=hunter22 is wrong")
	if payload.get("does") == "defer" and not event["deferrals"]:
		raise Defer(0)


@pytest.fixture
def hub(make_runtime):
	return make_runtime((FIRST, ROUTE + FIRST), ("[hub]", HANDLERS))


def put(hub, payload: dict, **headers: str) -> None:
	body = json.dumps({"event": "call.x", **payload}).encode()
	given = {sender.HEADER.lower(): sender.sign(body), **headers}
	assert receive(hub, Request("crm", "POST", given, body)).status in (200, 202)


def kept(hub, event_id: str) -> list[Attempt]:
	[row] = hub.db.query("SELECT `attempts_log` FROM `tabWebhook Log` WHERE `event_id` = %s", [event_id])
	return attempts(row["attempts_log"])


def now(hub) -> None:
	hub.db.execute("UPDATE `tabWebhook Log` SET `next_attempt_at` = '2020-01-01', `turn` = 0")


def test_each_attempt_is_kept_with_what_came_of_it(hub, crm):
	put(hub, {"id": "good"})
	put(hub, {"id": "bad", "does": "fail"})
	put(hub, {"id": "later", "does": "defer"})
	put(hub, {"id": "made", "event": "customer.created", "data": crm.customers.alive()[0]})
	put(hub, {"id": "nowhere", "event": "unknown.x"})
	for _ in range(3):
		drain(hub, "crm")
		now(hub)
	assert [one.outcome for one in kept(hub, "good")] == ["Completed"]
	assert [one.outcome for one in kept(hub, "bad")] == ["Failed"] * 3
	assert [one.outcome for one in kept(hub, "later")] == ["Deferred", "Completed"]
	[made] = kept(hub, "made")
	[row] = hub.db.query("SELECT * FROM `tabWebhook Log` WHERE `event_id` = 'made'")
	assert (made.doctype, made.document) == (row["reference_doctype"], row["reference_name"])
	assert made.route.endswith("Upsert Record customers-full") and 0 < made.seconds < 600
	failed = kept(hub, "bad")[-1]
	assert failed.route == "call.*: Call Function act" and "hunter22" not in failed.error
	assert failed.error.startswith("password=") and failed.error_log
	assert all(one.at[:2] == "20" for one in kept(hub, "bad"))


def test_an_attempt_whose_worker_is_gone_is_kept(hub):
	put(hub, {"id": "good"})
	assert claims.claim_due(hub, "crm", 1, "3")
	sweep(hub)
	now(hub)
	drain(hub, "crm")
	assert [(one.outcome, one.seconds is None) for one in kept(hub, "good")] == [
		("Lost", True),
		("Completed", False),
	]


def test_replays_go_on_with_the_attempts_also_many_at_once(hub):
	for number in range(5):
		put(hub, {"id": f"e{number}"})
	drain(hub, "crm")
	names = [row["name"] for row in hub.db.query("SELECT `name` FROM `tabWebhook Log`")]
	replay(hub, names[:3])
	drain(hub, "crm")
	replay(hub, names)
	drain(hub, "crm")
	assert [len(kept(hub, f"e{number}")) for number in range(5)] == [3, 3, 3, 2, 2]


def test_only_the_last_attempts_are_kept():
	text = None
	for number in range(KEPT + 5):
		text = with_attempt(
			text, Attempt(f"2026-01-{number:02}", number / 7, "Failed", error="ö\n\u2028\"'" * 9)
		)
	found = attempts(text)
	assert len(found) == KEPT and found[-1].at == f"2026-01-{KEPT + 4}" and "ö\n" in found[-1].error
	assert attempts('not json\n[1]\n{}\n["a", 1, "Failed"]\n') == [Attempt("a", 1, "Failed")]
	assert attempts(None) == []


def headers_of(hub, event_id: str) -> dict:
	[row] = hub.db.query("SELECT `headers` FROM `tabWebhook Log` WHERE `event_id` = %s", [event_id])
	return json.loads(row["headers"] or "{}")


def test_events_keep_the_headers_that_settings_name_and_those_a_person_lists(make_runtime):
	settings = (
		'webhook_enabled = true\nheaders_to_keep = "X-Shop, X-Stage\\nX-Leak"\nevent_time_header = "X-Time"'
	)
	hub = make_runtime((FIRST, ROUTE + FIRST), ("[hub]", HANDLERS), ("webhook_enabled = true", settings))
	given = {
		"x-shop": "Köln",
		"x-stage": "x" * 5000,
		"x-leak": f"Bearer {sender.SECRET}",
		"x-time": "2026-01-31T12:00:00Z",
		"x-other": "not kept",
		"authorization": "Basic eDp5",
		"cookie": "sid=1",
		"content-type": "application/json",
	}
	put(hub, {"id": "e1"}, **given)
	found = headers_of(hub, "e1")
	assert set(found) == {"x-shop", "x-stage", "x-leak", "x-time", "content-type"}
	assert found["x-shop"] == "Köln" and len(found["x-stage"]) == 2000
	assert sender.SECRET not in json.dumps(found)
	[row] = hub.db.query("SELECT `headers` FROM `tabWebhook Log`")
	assert "Köln" in row["headers"], "letters are letters"


@pytest.mark.parametrize(
	"listed",
	[
		"Authorization",
		"x-shop, Cookie",
		"Set-Cookie",
		"Proxy-Authorization",
		"X-Hub-Signature-256",
		"X-Shopify-Hmac-Sha256",
		"Stripe-Signature",
		"X-Gitlab-Token",
		"X-Webhook-Signature",
		"X-Api-Key",
		"not a header",
		"x-ok\nx:bad",
		"ü",
		", ".join(f"x-{n}" for n in range(21)),
	],
)
def test_headers_that_prove_who_sends_are_not_kept(listed, make_runtime):
	[(field, _)] = header_problems(IntegrationConfig("x", headers_to_keep=listed))
	assert field == "headers_to_keep"
	if "\n" not in listed:
		with pytest.raises(HubError, match="headers_to_keep"):
			make_runtime(("webhook_enabled = true", f'webhook_enabled = true\nheaders_to_keep = "{listed}"'))


def test_the_signature_header_of_the_settings_is_not_kept():
	config = IntegrationConfig("x", headers_to_keep="X-Mine", signature_header="x-mine")
	assert [field for field, _ in header_problems(config)] == ["headers_to_keep"]
	assert not list(header_problems(IntegrationConfig("x", headers_to_keep="X-Shop\nX-Stage,\n")))


def test_a_conflict_shows_how_it_differs_from_the_first_event(hub):
	put(hub, {"id": "e1", "n": 1, "rows": [{"a": "ö"}, {"a": 2}], "gone": None})
	put(hub, {"id": "e1", "n": 2, "rows": [{"a": "ü"}], "new": {"x": 1}})
	names = [row["name"] for row in hub.db.query("SELECT `name` FROM `tabWebhook Log` ORDER BY `name`")]
	first, found = difference(hub, names[1])
	assert first == names[0]
	assert [(one.path, one.first, one.this) for one in found] == [
		("n", "1", "2"),
		("rows[0].a", '"ö"', '"ü"'),
		("rows[1]", '{"a": 2}', ""),
		("gone", "null", ""),
		("new", "", '{"x": 1}'),
	]
	assert difference(hub, names[0]) == ("", []) == difference(hub, "nosuch")
	hub.db.execute("UPDATE `tabWebhook Log` SET `payload` = NULL WHERE `name` = %s", [names[0]])
	assert difference(hub, names[1]) == ("", [])


def test_any_two_payloads_are_compared():
	assert payload_differences('{"a": 1}', '{"a": 1.0}')[0].path == "a"
	assert payload_differences('{"a": true}', '{"a": 1}')[0].first == "true"
	assert payload_differences('{"a": 1}', '{"a": 1}') == []
	assert payload_differences('"\\u00f6"', '"ö"') == []
	[one] = payload_differences("[1]", '{"a": 1}')
	assert (one.path, one.first) == ("", "[1]")
	many = json.dumps(list(range(1000))), json.dumps([-n for n in range(1000)])
	assert len(payload_differences(*many)) == MOST
	deep = "[" * 100_000
	assert payload_differences(deep, "{}")[0].first.endswith("…")
	assert len(payload_differences("[" + "1," * 2_000_000 + "1]", "[]")) == 1
