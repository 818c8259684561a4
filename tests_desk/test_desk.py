"""One administrator's day, in order: connect, try, sync, watch it break, find out why, mend it, replay."""

from __future__ import annotations

import re
import time

from playwright.sync_api import expect

from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.sender import SECRET
from tests_desk.desk import Desk, count, until, value

MAPPING = (
	("name", "customer_name"),
	("email", "email"),
	("city", "city"),
	("credit_limit", "credit_limit"),
	("active", "active"),
)


def test_the_onboarding_leads_to_the_first_form(desk: Desk):
	# Frappe 16.0.0-dev shows the block only on the workspace that Desk was loaded at.
	desk.start("/app/integration-hub")
	block = desk.page.locator(".onboarding-widget-box:visible")
	expect(block).to_contain_text("Connect a System")
	desk.fits()
	desk.show("onboarding", height=620)
	block.get_by_role("button", name="Create an Integration").click()
	desk.page.wait_for_function("cur_frm && cur_frm.doctype === 'Integration Settings' && cur_frm.is_new()")
	popover = desk.page.locator("#driver-popover-item:visible")
	expect(popover).to_contain_text("A Short Name")
	desk.enter()  # again: the tour would go on with the next form


def test_an_integration_is_made_and_its_fields_appear_as_they_matter(desk: Desk, crm: Sandbox):
	desk.new("Integration Settings")
	desk.fill(integration_name="desk-crm", base_url=crm.url, test_path="/v1/me")
	expect(desk.field("secret")).to_have_count(0)
	desk.fill(auth_type="OAuth2 Client Credentials")
	expect(desk.field("token_url")).to_be_visible()
	expect(desk.field("refresh_token")).to_have_count(0)
	desk.fill(auth_type="API Key Header", secret="not-the-key")
	expect(desk.field("token_url")).to_have_count(0)
	expect(desk.field("webhook_secret")).to_have_count(0)
	desk.save()
	desk.fits()


def test_a_failed_connection_says_what_where_and_what_to_do(desk: Desk, crm: Sandbox):
	desk.press("Test Connection")
	expect(desk.dialog).to_contain_text("Authentication failed")
	expect(desk.dialog).to_contain_text(f"GET {crm.url}/v1/me")
	expect(desk.dialog).to_contain_text("Check the fields under Authentication")
	desk.show("test-connection-failed", element=desk.dialog.locator(".modal-content"))
	desk.close_dialog()
	desk.rest()
	expect(desk.field("health")).to_contain_text("Last Failure")
	desk.fill(secret=API_KEY)
	desk.save()
	desk.press("Test Connection")
	expect(desk.dialog).to_contain_text("Connected")
	desk.close_dialog()


def test_the_webhook_endpoint_is_shown_and_tried(desk: Desk, crm: Sandbox):
	desk.fill(webhook_enabled=True, webhook_secret=SECRET)
	# Quick failures and repeats, for the tests that follow.
	desk.page.evaluate(
		"cur_frm.set_value({ max_attempts: 2, backoff_min: 0.1, backoff_max: 0.2, breaker_threshold: 0 })"
	)
	desk.save()
	endpoint = desk.field("webhook_door")
	expect(endpoint.locator(".hub-url")).to_have_text(
		re.compile(r"/api/method/integration_hub\.api\.webhook/desk-crm$")
	)
	endpoint.get_by_role("button", name="Copy").click()
	assert desk.page.evaluate("navigator.clipboard.readText()").endswith(".webhook/desk-crm")
	desk.press("Send Test Webhook")
	desk.dialog.get_by_role("button", name="Sign and Send").click()
	answer = desk.page.locator(".msgprint-dialog:visible")
	expect(answer).to_contain_text("202 unrouted")
	desk.show("test-webhook", element=answer.locator(".modal-content"))
	answer.get_by_role("link", name="Open the Event").click()
	desk.page.wait_for_function("cur_frm && cur_frm.doctype === 'Webhook Log'")
	desk.rest()
	expect(desk.page.locator(".form-page:visible")).to_contain_text("integration-hub.test")


def test_the_health_line_shows_what_waits(desk: Desk):
	desk.open("Integration Settings", "desk-crm")
	health = desk.field("health")
	expect(health).to_contain_text("Events to Look At")
	expect(health.get_by_role("link", name="1")).to_be_visible()
	desk.fits()
	desk.show("integration", height=820)


def test_a_stream_is_made_with_fields_picked_from_its_doctype(desk: Desk):
	desk.new("Sync Settings")
	desk.fill(stream_name="desk-customers", integration="desk-crm", target_doctype="Desk Customer")
	desk.fill(
		endpoint="/v1/customers/page", records_path="data", pagination="Page Number", more_path="has_more"
	)
	desk.fill(page_size="50", deletion_policy="Delete", schedule="Off")
	grid = desk.field("mapping")
	for number, (source, target) in enumerate(MAPPING, 1):
		if grid.locator(".grid-body .grid-row").count() < number:
			grid.get_by_role("button", name="Add Row").click()
		row = grid.locator(f'.grid-row[data-idx="{number}"]')
		row.locator('.grid-static-col[data-fieldname="source_path"]').click()
		row.locator('.editable-row .input-with-feedback[data-fieldname="source_path"]').fill(source)
		row.locator('.grid-static-col[data-fieldname="field"]').click()
		field = row.locator('.editable-row input[data-fieldname="field"]')
		field.fill(target)
		expect(row.locator(".awesomplete li").filter(has_text=target).first).to_be_visible()
		field.press("Tab")
	desk.save()
	rows = desk.page.evaluate("cur_frm.doc.mapping.map((row) => [row.source_path, row.field])")
	assert rows == [list(pair) for pair in MAPPING]


def test_a_preview_and_a_dry_run_write_nothing(desk: Desk):
	desk.press("Preview", "Try")
	expect(desk.dialog).to_contain_text("Customer Name")
	expect(desk.dialog.locator("tbody tr")).to_have_count(20)
	desk.fits()
	desk.show("preview", element=desk.dialog.locator(".modal-content"), height=560)
	desk.close_dialog()
	desk.press("Dry Run", "Try")
	expect(desk.dialog).to_contain_text("Only the first 5 pages were looked at")
	expect(desk.dialog).to_contain_text("250 would be created")
	desk.fits()
	desk.close_dialog()
	assert count(desk, "Desk Customer") == 0


def test_a_run_is_seen_while_it_goes_on(desk: Desk, crm: Sandbox):
	crm.latency = 3.0  # until all have looked
	desk.press("Sync Now")
	run = desk.page.locator(".hub-run [data-run]")
	expect(run).to_be_visible(timeout=30_000)
	seen = int(run.get_attribute("data-fetched"))
	desk.page.wait_for_function(
		"seen => Number(document.querySelector('.hub-run [data-run]')?.dataset.fetched) > seen", arg=seen
	)
	expect(run).to_contain_text("a second")
	desk.fits()
	# Who opens the form only now sees it as well.
	other = desk.page.context.new_page()
	other.goto(f"{desk.url}/app/sync-settings/desk-customers", wait_until="domcontentloaded")
	expect(other.locator(".hub-run [data-run]")).to_be_visible()
	other.evaluate("frappe.set_route('List', 'Sync Settings')")
	expect(
		other.locator(".list-row-container .indicator-pill").filter(has_text="a second").first
	).to_be_visible()
	other.close()
	desk.show("run-progress")
	crm.latency = 0.0
	until(desk, "Sync Settings", "desk-customers", "status", "OK")
	expect(desk.page.locator(".hub-runs .hub-bar").last).to_be_visible()
	assert count(desk, "Desk Customer") == len(crm.customers.alive())


def test_a_failing_source_is_found_from_the_workspace(desk: Desk, crm: Sandbox):
	crm.faults.set({"500": 1.0})
	desk.open("Sync Settings", "desk-customers")
	desk.press("Sync Now")
	until(desk, "Sync Settings", "desk-customers", "status", "Failing")
	desk.go("Workspaces", "Integration Hub")
	desk.fits()
	desk.card("Failing Streams")
	desk.page.wait_for_function("cur_list && cur_list.doctype === 'Sync Settings' && cur_list.data.length")
	desk.rest()
	desk.page.locator(".list-row-container:visible").get_by_text("desk-customers").first.click()
	desk.page.wait_for_function("cur_frm && cur_frm.doc.name === 'desk-customers'")
	desk.rest()
	desk.press("Failures", "View")
	desk.page.wait_for_function(
		"cur_list && cur_list.doctype === 'Integration Error Log' && cur_list.data.length"
	)
	desk.rest()
	desk.page.evaluate("frappe.set_route('Form', 'Integration Error Log', cur_list.data[0].name)")
	desk.page.wait_for_function("cur_frm && cur_frm.doctype === 'Integration Error Log'")
	assert "Server error" in desk.page.evaluate("cur_frm.doc.message")


def test_a_mended_source_makes_it_well(desk: Desk, crm: Sandbox):
	crm.faults.set()
	desk.open("Sync Settings", "desk-customers")
	desk.press("Sync Now")
	until(desk, "Sync Settings", "desk-customers", "status", "OK")
	expect(desk.page.locator(".hub-runs .hub-bar").last).to_be_visible()
	desk.open("Sync Settings", "desk-customers")
	desk.fits()
	desk.show("stream", height=820)
	desk.go("List", "Sync Settings")
	desk.page.evaluate("cur_list.filter_area.clear()")
	expect(desk.page.locator(".list-row-container:visible").first).to_be_visible()
	desk.fits()
	desk.show("streams", height=420)


def test_a_failed_event_is_found_and_replayed(desk: Desk, crm: Sandbox):
	desk.open("Integration Settings", "desk-crm")
	desk.page.evaluate(
		"""cur_frm.add_child("routes", { event_pattern: "customer.*", action: "Upsert Record",
			stream: "desk-customers", record_path: "wrong" }); cur_frm.refresh_field("routes")"""
	)
	desk.page.evaluate("cur_frm.dirty()")
	desk.save()
	url = f"{desk.url}/api/method/integration_hub.api.webhook/desk-crm"
	customer = crm.customers.alive()[0]["id"]
	assert crm.deliver(url, [customer])["statuses"] == [200]
	name = desk.page.evaluate(
		"frappe.db.get_list('Webhook Log', { filters: { event_type: 'customer.updated' } }).then((r) => r[0].name)"
	)
	end = time.monotonic() + 90
	while value(desk, "Webhook Log", name, "status") not in ("Failed", "Dead"):
		assert time.monotonic() < end
		time.sleep(0.5)
	desk.go("Workspaces", "Integration Hub")
	desk.card("Failed Events")
	desk.page.wait_for_function("cur_list && cur_list.doctype === 'Webhook Log' && cur_list.data.length")
	assert name in desk.page.evaluate("cur_list.data.map((row) => row.name)")
	desk.open("Integration Settings", "desk-crm")
	desk.page.evaluate(
		"frappe.model.set_value('Webhook Route', cur_frm.doc.routes[0].name, 'record_path', 'data')"
	)
	desk.save()
	desk.open("Webhook Log", name)
	desk.press("Replay")
	desk.rest()
	if desk.page.locator(".modal.show:visible").count():
		desk.dialog.locator(".btn-primary:visible").click()
	until(desk, "Webhook Log", name, "status", "Completed")


def test_all_that_failed_is_replayed_from_the_integration(desk: Desk):
	desk.open("Integration Settings", "desk-crm")
	desk.press("Replay Events", "Actions")
	expect(desk.dialog).to_contain_text("Received Since")
	desk.fits()
	desk.dialog.locator(".btn-primary:visible").click()
	expect(desk.dialog).to_contain_text("Handle again all events of desk-crm that failed?")
	desk.dialog.locator(".btn-primary:visible").click()
	expect(
		desk.page.locator(".desk-alert")
		.filter(has_text=re.compile(r"^\s*[1-9]\d* events? will be handled again"))
		.last
	).to_be_visible()


def test_deletions_beyond_the_limit_wait_for_a_person_who_sees_the_list(desk: Desk, crm: Sandbox):
	crm.customers.delete(300)
	desk.open("Sync Settings", "desk-customers")
	desk.press("Sync Now")
	until(desk, "Sync Settings", "desk-customers", "status", "Needs Approval")
	desk.open("Sync Settings", "desk-customers")
	held = desk.page.locator(".hub-held:visible")
	expect(held).to_contain_text("300")
	held.get_by_role("button", name="See and Approve").click()
	expect(desk.dialog).to_contain_text("300 records are no longer in the source")
	expect(desk.dialog.locator("tbody tr")).to_have_count(200)
	desk.fits()
	desk.show("deletions", element=desk.dialog.locator(".modal-content"), height=620)
	desk.dialog.get_by_role("button", name="Delete 300 Documents").click()
	until(desk, "Sync Settings", "desk-customers", "status", "OK")
	assert count(desk, "Desk Customer") == len(crm.customers.alive())
