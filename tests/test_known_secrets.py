"""Secrets among values that come from outside become no id, type, key or value; headers that prove who sends, no place."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.credential_headers import header_problems, proves
from integration_hub.connectors.known_secrets import KnownSecrets
from integration_hub.connectors.redact import Redactor
from integration_hub.queues.consumer import consumer_for
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.stores.runtime import HubError
from integration_hub.sync.dry_runs import dry_run, preview
from integration_hub.sync.run import run_stream
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.presets import filled
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.schemes import SCHEMES, scheme_for
from integration_hub.webhooks.schemes.base import CannotSign

LONG = "sandbox-" + "k3y" * 8


def known(*secrets: str) -> KnownSecrets:
	return KnownSecrets(Redactor(secrets))


def everything_written(runtime) -> str:
	"""Return all rows of the database as text."""
	names = [
		row["name"] for row in runtime.db.query("SELECT `name` FROM sqlite_master WHERE `type` = 'table'")
	]
	return "".join(str(runtime.db.query(f"SELECT * FROM `{name}`")) for name in names)


# headers


@pytest.mark.parametrize(
	"header",
	[
		"Authorization",
		"Proxy-Authorization",
		"Cookie",
		"Set-Cookie",
		"X-API-Key",
		"x-api-key",
		"Api_Key",
		"X-Auth-Token",
		"X-Gitlab-Token",
		"X-Webhook-Signature",
		"X-Hub-Signature",
		"X-Shopify-Hmac-Sha256",
		"X-Auth",
		"X-Sig",
		"X-Access-Key",
		"X-Session-Id",
		"X-CSRF-Token",
		"X-Goog-IAP-JWT-Assertion",
		"X-Amz-Security-Token",
		" Authorization ",
	],
)
def test_a_header_that_proves_who_sends_is_neither_id_nor_type(header):
	for field in ("event_id_header", "event_type_header"):
		[(place, sentence)] = header_problems(IntegrationConfig("x", **{field: header}))
		assert place == field and header in str(sentence)


def test_the_header_of_each_scheme_proves_who_sends():
	"""Whatever a scheme signs with, by the headers it adds to a request."""
	secrets = {"Basic": "ada:lovelace", "Standard Webhooks": "whsec_" + base64.b64encode(b"k" * 24).decode()}
	plain = {"webhook-id", "webhook-timestamp", "x-slack-request-timestamp", "content-type"}
	tried = 0
	for name in SCHEMES:
		config = IntegrationConfig("x", webhook_scheme=name, webhook_enabled=True)
		request = Request(
			"x", "POST", {"webhook-id": "1", "content-type": "application/json"}, b"{}", "http://h/x"
		)
		try:
			signed = scheme_for(config).signed(request, secrets.get(name, LONG))
		except CannotSign:
			continue
		added = set(signed.headers) - plain - {scheme_for(config).config.timestamp_header.lower()}
		tried += bool(added)
		assert all(proves(header, filled(config)) for header in added), (name, added)
	assert tried >= 10


@pytest.mark.parametrize(
	"header",
	[
		"X-GitHub-Delivery",
		"X-GitHub-Event",
		"X-Shopify-Event-Id",
		"X-Shopify-Topic",
		"Webhook-Id",
		"Idempotency-Key",
		"I-Twilio-Idempotency-Token",
		"X-Event-Key",
		"X-Request-Id",
		"X-Author",
		"ce-id",
		"ce-type",
		"",
	],
)
def test_a_header_that_names_an_event_may_name_it(header):
	assert not list(header_problems(IntegrationConfig("x", event_id_header=header, event_type_header=header)))


def test_a_signature_stands_in_no_header_that_is_kept():
	for header in ("User-Agent", "date", " Content-Type"):
		[(field, _)] = header_problems(IntegrationConfig("x", signature_header=header))
		assert field == "signature_header"


def test_hub_toml_with_such_a_header_is_refused(make_runtime):
	with pytest.raises(HubError, match=r"\[integration.crm\], event_id_header|event_id_header"):
		make_runtime(('event_id_path = "id"', 'event_id_header = "X-Webhook-Signature"'))


def test_an_endpoint_whose_settings_were_saved_before_takes_nothing(runtime, monkeypatch):
	"""A row of an older version: what it would keep is a signature."""
	runtime.db.execute(
		"UPDATE `tabIntegration Settings` SET `event_id_header` = 'X-Webhook-Signature', `event_id_path` = NULL"
	)
	body = json.dumps({"event": "x"}).encode()
	answer = receive(runtime, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	assert (answer.status, answer.reason) == (503, "not_configured")
	assert runtime.db.query("SELECT * FROM `tabWebhook Log`") == []


# values


def test_a_secret_is_known_however_it_is_written():
	found = known(LONG, "abcd")
	raw = LONG.encode()
	for text in (
		LONG,
		f"Bearer {LONG}",
		quote(LONG),
		json.dumps({"a": json.dumps(LONG)}),
		base64.b64encode(raw).decode(),
		base64.b64encode(b"ada:" + raw).decode(),
		"".join(f"%{byte:02x}" for byte in raw),
		"abcd",
		" abcd ",
	):
		assert found.stands_in(text), text
	assert not found.stands_in("abcde") and not found.stands_in("an abcd") and not found.stands_in("")


@given(st.text(min_size=8, max_size=40).filter(str.strip), st.text(max_size=20))
def test_any_secret_is_found_among_values(secret, around):
	found = known(secret)
	bare = secret.strip()
	if len(bare) >= 8:
		assert found.stands_in_repr(repr([1, f"{around}{bare}{around}"])) or "'" in bare + around
		assert found.stands_in(bare)


def test_what_a_redactor_learns_later_is_known_as_well():
	redactor = Redactor(["first-secret"])
	found = KnownSecrets(redactor)
	redactor.add("second-secret")
	assert found.stands_in("second-secret") and found.stands_in_repr(repr(["second-secret"]))


@pytest.mark.parametrize(
	("settings", "body"),
	[
		('event_id_path = "token"', {"event": "x"}),
		("event_id_path = \"join('-', [token, '1'])\"", {"event": "x"}),
		('event_id_path = "id"\nevent_type_path = "token"', {"id": "1"}),
		('event_id_path = "id"\nordering_key_path = "token"', {"id": "1", "event": "x"}),
	],
)
def test_an_event_is_kept_under_no_secret(make_runtime, settings, body):
	"""Where a sender puts the secret it signs with into its body, as some do, and the settings name that place."""
	for written in (sender.SECRET, base64.b64encode(sender.SECRET.encode()).decode(), CLIENT_SECRET):
		key = (
			settings.split(" = ")[0] if "\n" not in settings else settings.rpartition("\n")[2].split(" = ")[0]
		)
		runtime = make_runtime(*replacements(key, settings))
		raw = json.dumps({**body, "token": written}).encode()
		answer = receive(runtime, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(raw)}, raw))
		assert (answer.status, answer.reason) == (503, "not_configured")
		assert runtime.db.query("SELECT * FROM `tabWebhook Log`") == []
		assert written not in everything_written(runtime)


def replacements(key: str, settings: str) -> list[tuple[str, str]]:
	"""Return what puts settings into the example, in the stead of what it says of the same key."""
	lines = {"event_type_path": ('event_type_path = "event"\n', ""), "ordering_key_path": None}
	gone = [lines[key]] if lines.get(key) else []
	return [*gone, ('event_id_path = "id"', settings)]


def test_a_message_of_a_queue_is_kept_under_no_secret(make_runtime, redis_url):
	with redis.from_url(redis_url) as client:
		client.flushall()
		client.lpush("crm_events", json.dumps({"id": CLIENT_SECRET, "type": "stock"}))
		runtime = make_runtime(redis_url=redis_url)
		done = consumer_for(runtime, "crm").drain()
		assert (done.received, done.unreadable) == (0, 1)
		assert b"secret_in_event" in client.lindex(consumer_for(runtime, "crm").dead, 0)
	assert runtime.db.query("SELECT * FROM `tabWebhook Log`") == []


# records


def test_a_value_in_which_a_secret_stands_is_not_written(runtime, crm):
	"""As of a system that sends back what it was sent: its client secret, or the token it gave."""
	crm.customers.set("CUST-000003", name=f"you sent {CLIENT_SECRET}")
	crm.customers.set("CUST-000004", city=base64.b64encode(f"sandbox:{CLIENT_SECRET}".encode()).decode())
	with runtime.connector("crm") as connector:
		connector.get("/v1/me")
		token = connector._token.access_token
	crm.customers.set("CUST-000005", email=f"Bearer {token}")
	row = run_stream(runtime, "customers-full")
	assert (row["failed"], row["status"]) == (3, "Partial")
	assert "secret" in row["error"] and "customer_name" in row["error"]
	for secret in (CLIENT_SECRET, str(token)):
		assert secret not in everything_written(runtime)


def test_a_record_whose_id_is_a_secret_is_none(runtime, crm):
	runtime.db.execute("UPDATE `tabSync Settings` SET `id_path` = 'email'")
	crm.customers.set("CUST-000003", email=CLIENT_SECRET)
	run_stream(runtime, "customers-full")
	assert CLIENT_SECRET not in everything_written(runtime)


def test_a_person_who_looks_sees_no_secret(runtime, crm):
	twice = "".join(f"%{byte:02x}" for byte in base64.b64encode(CLIENT_SECRET.encode()))
	crm.customers.set("CUST-000001", name=twice, city=CLIENT_SECRET)
	crm.customers.set("CUST-000002", name=twice)
	shown = preview(runtime, "customers-full")
	assert "secret" in shown[0]["error"] and shown[0]["values"] == {}
	assert shown[1]["values"]["customer_name"] == "[redacted]"
	found = dry_run(runtime, "customers-full")
	assert twice not in json.dumps(found.as_dict(), default=str)
	assert CLIENT_SECRET not in json.dumps(found.as_dict(), default=str)
