"""What a route begins with, and the route that ignores."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.sandbox import sender
from integration_hub.stores.doctype_tables import doctypes
from integration_hub.stores.settings import child_rows
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.presets import SETTLED, filled, presets, unread
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.schemes import BASES, SCHEMES, record_path_of
from integration_hub.webhooks.schemes.base import CannotSign
from integration_hub.webhooks.settings_checks import ACTIONS

SETTINGS = (
	"signature_header",
	"signature_prefix",
	"signature_algorithm",
	"signature_encoding",
	"webhook_tolerance",
)


@pytest.mark.parametrize(
	("scheme", "path"),
	[("Shopify", ""), ("WooCommerce", ""), ("GitHub", ""), ("Stripe", "data.object"), ("HMAC", "data")],
)
def test_a_route_that_names_no_record_path_has_that_of_the_scheme(make_runtime, scheme, path):
	runtime = make_runtime(
		("webhook_enabled = true\n", f'webhook_enabled = true\nwebhook_scheme = "{scheme}"\n'),
		('stream = "customers-full"\nrecord_path = "data"\n', 'stream = "customers-full"\n'),
	)
	assert {row["record_path"] for row in child_rows(runtime.db, "Webhook Route", "crm")} == {path}


def test_one_that_names_a_path_keeps_it(make_runtime):
	runtime = make_runtime(
		("webhook_enabled = true\n", 'webhook_enabled = true\nwebhook_scheme = "Shopify"\n')
	)
	assert {row["record_path"] for row in child_rows(runtime.db, "Webhook Route", "crm")} == {"data"}


def test_a_scheme_that_is_not_known_has_the_general_place():
	assert record_path_of("Nobody's", {"Nobody's": "nowhere.at.all"}) == "data"


def test_an_ignored_event_is_completed_and_writes_nothing(make_runtime):
	runtime = make_runtime(
		(
			'event_pattern = "customer.*"\naction = "Upsert Record"',
			'event_pattern = "customer.*"\naction = "Ignore"',
		)
	)
	delivery = sender.make("customer.updated", {"id": "c-1", "name": "Ada"})
	headers = {name.lower(): value for name, value in delivery.headers.items()}
	assert receive(runtime, Request("crm", "POST", headers, delivery.body)).status == 200
	assert drain(runtime, "crm").total == 1
	assert [row["status"] for row in runtime.db.query("SELECT `status` FROM `tabWebhook Log`")] == [
		"Completed"
	]
	assert not runtime.db.query("SELECT * FROM `tabSandbox Customer`")


def test_the_options_of_the_doctype_are_the_actions():
	field = next(f for f in doctypes()["Webhook Route"]["fields"] if f["fieldname"] == "action")
	assert tuple(field["options"].split("\n")) == ACTIONS


def test_the_options_of_the_doctype_are_the_schemes_and_connectors():
	from integration_hub.connectors.registry import BUILT_IN

	fields = {f["fieldname"]: f for f in doctypes()["Integration Settings"]["fields"]}
	assert fields["webhook_scheme"]["options"].split("\n") == list(SCHEMES)
	assert fields["connector"]["options"].split("\n") == list(BUILT_IN)


class _Read(IntegrationConfig):
	"""Notes which settings are read."""

	def __getattribute__(self, name):
		if name in SETTINGS:
			object.__getattribute__(self, "__dict__").setdefault("read", set()).add(name)
		return object.__getattribute__(self, name)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_shows_the_settings_that_it_reads_and_no_others(name):
	"""A field that does nothing under a scheme is hidden: what a sender has settled, and what is not signed."""
	preset = presets()[name]
	config = _Read("x", webhook_scheme=name)
	scheme = BASES[preset.scheme](config if preset.group == "General" else filled(config))
	scheme.config.__dict__["read"] = set()
	if preset.group == "General":
		scheme = BASES[preset.scheme](config)
	secret = "user:word" if name == "Basic" else "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	request = Request(
		"x", "POST", {"content-type": "application/json", "webhook-id": "1"}, json.dumps({"id": 1}).encode()
	)
	with suppress(CannotSign):
		scheme.verify(scheme.signed(request, secret), [secret])
	shown = set(SETTINGS) - unread(name)
	if preset.group != "General":
		assert not shown & set(SETTLED), "what proves a sender is the preset's"
	elif name != "Public Key":  # which signs nothing here
		# HMAC reads the tolerance where settings put a time into what is signed, which these do not.
		assert config.__dict__["read"] | ({"webhook_tolerance"} if name == "HMAC" else set()) == shown
	timed = "{timestamp}" in preset.settings.get("signed_content", "")
	assert ("webhook_tolerance" in shown) >= timed


def test_each_setting_that_a_scheme_may_leave_unread_is_hidden_by_it():
	fields = {f["fieldname"]: f for f in doctypes()["Integration Settings"]["fields"]}
	for name in (*SETTLED, "webhook_url", "webhook_tolerance", "webhook_verify_token"):
		assert f'.includes("{name}")' in fields[name]["depends_on"]
		assert "unread" in fields[name]["depends_on"]


def test_what_a_connector_leaves_unused_are_fields_of_a_stream():
	from integration_hub.connectors.registry import BUILT_IN

	fields = {f["fieldname"] for f in doctypes()["Sync Settings"]["fields"]}
	for plain, _oauth2 in BUILT_IN.values():
		assert plain.unused | plain.usual.keys() <= fields
