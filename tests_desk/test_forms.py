"""The long forms: tabs, real Selects, and fields that are hidden where they do nothing."""

from __future__ import annotations

from playwright.sync_api import expect

from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from tests_desk.desk import Desk

INTEGRATION = {"doctype": "Integration Settings", "integration_name": "desk-crm", "test_path": "/v1/me"}


def make_integration(desk: Desk, crm: Sandbox, **values: object) -> None:
	given = {**INTEGRATION, "base_url": crm.url, "auth_type": "API Key Header", "secret": API_KEY, **values}
	desk.page.evaluate(
		"""async (doc) => {
			if (!(await frappe.db.exists(doc.doctype, doc.integration_name))) await frappe.db.insert(doc);
		}""",
		given,
	)


def test_schemes_and_connectors_are_chosen_from_a_list(desk: Desk):
	desk.page.evaluate("frappe.boot.integration_hub.webhook_scheme.push('Acme Signed')")
	desk.new("Integration Settings")
	desk.fill(webhook_enabled=True)
	scheme = desk.field("webhook_scheme").locator("select")
	assert scheme.locator("option").count() >= 14
	expect(scheme.locator("option[value='Acme Signed']")).to_have_count(1)
	expect(desk.field("connector").locator("option[value='Frappe']")).to_have_count(1)
	desk.enter()
	desk.start("/app/integration-settings")


def test_a_scheme_shows_its_own_fields_and_where_its_records_are(desk: Desk):
	desk.new("Integration Settings")
	desk.fill(webhook_enabled=True, webhook_scheme="HMAC")
	for field in ("signature_header", "signature_algorithm"):
		expect(desk.field(field)).to_be_visible()
	expect(desk.field("webhook_verify_token")).to_have_count(0)
	desk.field("routes").get_by_role("button", name="Add Row").click()
	assert desk.page.evaluate("cur_frm.doc.routes[0].record_path") == "data"
	desk.fill(webhook_scheme="Shopify")
	assert not desk.page.evaluate("cur_frm.doc.routes[0].record_path")
	expect(desk.field("signature_header")).to_have_count(0)
	desk.fill(webhook_scheme="Stripe")
	expect(desk.field("webhook_tolerance")).to_be_visible()
	desk.field("routes").get_by_role("button", name="Add Row").click()
	assert desk.page.evaluate("cur_frm.doc.routes[1].record_path") == "data.object"
	actions = desk.page.evaluate("frappe.meta.get_docfield('Webhook Route', 'action').options.split('\\n')")
	assert "Ignore" in actions
	desk.enter()


def test_fields_that_do_nothing_are_hidden(desk: Desk, crm: Sandbox):
	make_integration(desk, crm)
	desk.new("Sync Settings")
	desk.fill(integration="desk-crm")
	expect(desk.field("pagination")).to_be_visible()
	for field in (
		"page_size",
		"cursor_path",
		"more_path",
		"max_delete_count",
		"overlap_seconds",
		"expired_status",
	):
		expect(desk.field(field)).to_have_count(0)
	desk.fill(deletion_policy="Delete")
	expect(desk.field("max_delete_count")).to_be_visible()
	desk.fill(mode="Cursor")
	expect(desk.field("expired_status")).to_be_visible()
	expect(desk.field("changed_since_param")).to_have_count(0)
	desk.enter()
	desk.page.evaluate("frappe.db.set_value('Integration Settings', 'desk-crm', 'connector', 'Frappe')")
	desk.new("Sync Settings")
	desk.fill(integration="desk-crm")
	expect(desk.field("pagination")).to_have_count(0)
	assert desk.page.evaluate("cur_frm.doc.id_path") == "name"
	desk.enter()
	desk.page.evaluate("frappe.db.set_value('Integration Settings', 'desk-crm', 'connector', 'REST')")


def test_all_tabs_fit_at_both_widths(desk: Desk, crm: Sandbox):
	make_integration(desk, crm)
	desk.open("Integration Settings", "desk-crm")
	for name in ("tab_system", "tab_events", "tab_calls", "tab_connections"):
		desk.page.locator(f'.form-tabs:visible .nav-link[data-fieldname="{name}"]').click()
		desk.fits()
	desk.new("Sync Settings")
	for name in ("tab_stream", "tab_source", "tab_writing", "tab_schedule"):
		desk.page.locator(f'.form-tabs:visible .nav-link[data-fieldname="{name}"]').click()
		desk.fits()
	desk.enter()


def test_save_stays_within_the_window(desk: Desk, crm: Sandbox):
	"""Beside all buttons of the head, at the narrower of two usual widths."""
	make_integration(desk, crm)
	desk.open("Integration Settings", "desk-crm")
	save = desk.page.locator(".page-head:visible .primary-action:visible").last
	box = save.bounding_box()
	assert box and box["x"] + box["width"] <= 1280
	desk.enter()
