"""A test event of our own: each scheme signs it so that its own endpoint takes it, and no other secret does."""

from __future__ import annotations

import base64
import json
import re

import pytest

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.endpoint import Endpoint
from integration_hub.webhooks.presets import filled, presets
from integration_hub.webhooks.sample_event import EVENT_TYPE, example, read_example, try_endpoint
from integration_hub.webhooks.schemes import SCHEMES, BadSignature, CannotSign, scheme_for

URL = "https://site.example.com/api/method/integration_hub.api.webhook/x"
SECRETS = {
	"Basic": ("user:password", "user:other"),
	"Standard Webhooks": tuple("whsec_" + base64.b64encode(text).decode() for text in (b"a" * 24, b"b" * 24)),
}
HAS_NO_ID = {
	name
	for name, preset in presets().items()
	if not (preset.places.id_headers or re.match(r"[\[{]|[A-Za-z_.]+( \|\||$)", preset.places.id_path))
}
# Computed, or always the same: nothing can be put there.
OWN_TYPES = {
	**dict.fromkeys(("Mollie Payments", "WhatsApp", "X", "Asana", "Salesforce", "Xero"), ""),
	"Dropbox": "list_folder",
}


def endpoint(scheme: str, **config) -> Endpoint:
	settings = IntegrationConfig("x", webhook_scheme=scheme, **config)
	return Endpoint(filled(settings), scheme_for(settings), ["s"], "")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_takes_what_it_signs_and_finds_id_and_type_in_it(scheme):
	found = endpoint(scheme)
	ours, other = SECRETS.get(scheme, ("ours", "other"))
	try:
		request = found.scheme.signed(example(found, URL, "order.paid"), ours)
	except CannotSign as error:
		assert "only the sender" in str(error)
		return
	found.scheme.verify(request, [other, ours])
	with pytest.raises(BadSignature):
		found.scheme.verify(request, [other])
	event = read_example(found, request)
	assert ("test-" in event.event_id) is (scheme not in HAS_NO_ID)
	assert event.held == ""
	assert event.event_type == OWN_TYPES.get(scheme, "order.paid")


def test_twilio_signs_the_url_it_was_told_where_a_proxy_changes_it():
	found = endpoint("Twilio", webhook_url="https://public.example.com/hook")
	request = found.scheme.signed(example(found, URL, "x"), "token")
	found.scheme.verify(request, ["token"])


def test_a_public_key_signs_nothing():
	found = endpoint("Standard Webhooks")
	secret = "whpk_" + base64.b64encode(bytes(32)).decode()
	with pytest.raises(CannotSign):
		found.scheme.signed(example(found, URL, "x"), secret)


def test_id_and_type_go_where_the_settings_look_and_leave_what_is_there():
	found = endpoint("HMAC", event_id_path="meta.id", event_type_path="meta.kind")
	given = {"meta": {"id": "mine"}, "data": {"n": 1}}
	body = json.loads(example(found, URL, "order.paid", given).body)
	assert body == {"meta": {"id": "mine", "kind": "order.paid"}, "data": {"n": 1}}
	assert given == {"meta": {"id": "mine"}, "data": {"n": 1}}


def test_a_test_event_goes_through_the_endpoint(runtime):
	tried = try_endpoint(runtime, "crm", URL)
	[row] = runtime.db.query("SELECT * FROM `tabWebhook Log`")
	assert (tried.answer.status, tried.answer.reason) == (202, "unrouted")
	assert (tried.log, tried.event_id) == (row["name"], row["event_id"])
	assert (row["event_type"], row["status"]) == (EVENT_TYPE, "Unrouted")
	tried = try_endpoint(runtime, "crm", URL, "customer.updated", {"data": {"id": "CUST-1"}})
	assert (tried.answer.status, tried.answer.reason) == (200, "received")


def test_without_an_endpoint_it_says_so(make_runtime):
	runtime = make_runtime(("webhook_enabled = true", "webhook_enabled = false"))
	with pytest.raises(HubError, match="takes no webhooks"):
		try_endpoint(runtime, "crm", URL)
