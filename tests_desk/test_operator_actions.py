"""What an operator does about what went wrong, each in its own screen. After test_desk, whose documents it goes on with."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from integration_hub.sandbox import Sandbox, access, sender
from tests_desk.desk import Desk, count, settled, until, value

OPENED = "d => cur_frm && cur_frm.doctype === d && !cur_frm.is_new()"
FAILED = "n => frappe.db.get_value('Webhook Log', n, 'status').then((r) => ['Failed', 'Dead'].includes(r.message.status))"
NEWEST = "([d, f]) => frappe.db.get_list(d, { filters: f, order_by: 'creation desc', limit: 1 }).then((r) => r[0].name)"


def newest(desk: Desk, doctype: str, **filters: str) -> str:
	return desk.page.evaluate(NEWEST, [doctype, {"integration": "desk-crm", **filters}])


def route(desk: Desk, path: str) -> None:
	"""Say where the events' records lie; and let one attempt do, so that nothing is tried again meanwhile."""
	desk.open("Integration Settings", "desk-crm")
	desk.page.evaluate(
		"""path => frappe.model.set_value('Webhook Route', cur_frm.doc.routes[0].name,
			{ record_path: path, stream: 'desk-customers' })""",
		path,
	)
	desk.page.evaluate("cur_frm.set_value('max_attempts', 1)")
	desk.save()


def test_a_dry_run_replay_shows_what_would_change(desk: Desk, crm: Sandbox):
	route(desk, "wrong")
	record = {**crm.customers.alive()[3], "city": "Elsewhere"}
	url = f"{desk.url}/api/method/integration_hub.api.webhook/desk-crm"
	assert sender.send(url, sender.make("customer.updated", record)).status_code == 200
	event = newest(desk, "Webhook Log", event_type="customer.updated")
	settled(desk, FAILED, event)
	route(desk, "data")
	desk.open("Webhook Log", event)
	desk.press("Dry-Run Replay")
	expect(desk.dialog).to_contain_text("Would change")
	row = desk.dialog.locator("tbody tr").filter(has_text="City")
	expect(row).to_contain_text("Elsewhere")
	desk.fits()
	desk.show("desk-dry-run-replay", element=desk.dialog.locator(".modal-content"), height=560)
	desk.close_dialog()
	assert desk.page.evaluate(FAILED, event)
	desk.open("Webhook Log", event)
	desk.press("Replay")
	until(desk, "Webhook Log", event, "status", "Completed")
	assert (
		value(desk, "Desk Customer", value(desk, "Webhook Log", event, "reference_name"), "city")
		== "Elsewhere"
	)


def test_a_document_tells_where_it_came_from(desk: Desk):
	customer = value(desk, "Webhook Log", newest(desk, "Webhook Log", status="Completed"), "reference_name")
	desk.open("Desk Customer", customer)
	timeline = desk.page.locator(".new-timeline:visible")
	expect(timeline).to_contain_text("desk-customers")
	link = desk.page.locator("a.hub-external-record:visible")
	expect(link).to_contain_text("of desk-customers")
	desk.fits()
	timeline.scroll_into_view_if_needed()
	desk.show("desk-timeline", height=900)
	link.click()
	desk.page.wait_for_function(OPENED, arg="External Record")


def test_the_same_id_with_another_body_is_handled_on_a_persons_word(desk: Desk, crm: Sandbox):
	url = f"{desk.url}/api/method/integration_hub.api.webhook/desk-crm"
	first = sender.make("customer.updated", crm.customers.alive()[1])
	assert sender.send(url, first).status_code == 200
	body = json.dumps({**json.loads(first.body), "data": crm.customers.alive()[2]}).encode()
	headers = {**first.headers, sender.HEADER: sender.sign(body)}
	sender.send(url, sender.Delivery(first.event_id, body, headers))
	conflict = newest(desk, "Webhook Log", status="Conflict")
	desk.open("Webhook Log", conflict)
	desk.fits()
	desk.press("Handle as a New Event")
	desk.dialog.locator(".btn-primary:visible").click()
	until(desk, "Webhook Log", conflict, "status", "Completed")


def test_the_inbox_is_read(desk: Desk):
	desk.go("List", "Webhook Log")
	desk.page.evaluate("cur_list.filter_area.clear()")
	expect(desk.page.locator(".list-row-container:visible").first).to_be_visible()
	desk.rest()
	desk.fits()
	desk.show("desk-events", height=520)


def test_a_failure_is_resolved_and_opens_again(desk: Desk):
	failure = newest(desk, "Integration Error Log")
	desk.page.evaluate("names => frappe.call('integration_hub.api.reopen_failures', { names })", [failure])
	desk.open("Integration Error Log", failure)
	desk.fits()
	desk.show("desk-failure", height=760)
	desk.press("Resolve")
	until(desk, "Integration Error Log", failure, "status", "Resolved")
	desk.rest()
	desk.press("Reopen")
	until(desk, "Integration Error Log", failure, "status", "Open")


def test_a_run_is_approved_from_its_log(desk: Desk, crm: Sandbox):
	crm.customers.delete(300)
	desk.open("Sync Settings", "desk-customers")
	desk.press("Sync Now")
	until(desk, "Sync Settings", "desk-customers", "status", "Needs Approval")
	desk.open("Sync Log", newest(desk, "Sync Log", status="Needs Approval"))
	desk.press("Approve Deletions")
	expect(desk.dialog).to_contain_text("300")
	desk.fits()
	desk.show("desk-approve-deletions", element=desk.dialog.locator(".modal-content"), height=620)
	desk.dialog.locator(".btn-danger:visible").click()
	until(desk, "Sync Settings", "desk-customers", "status", "OK")
	bound = "own => frappe.db.count('External Record', { filters: { target_doctype: 'Desk Customer', stream: own } })"
	by_others = desk.page.evaluate(bound, ["!=", "desk-customers"])
	assert count(desk, "Desk Customer") - by_others == len(crm.customers.alive())


def test_a_backfill_asks_from_when(desk: Desk):
	desk.open("Sync Settings", "desk-customers")
	desk.fill(updated_at_path="updated_at")
	desk.save()
	desk.press("Backfill", "Actions")
	expect(desk.dialog).to_contain_text("Nothing is removed")
	desk.fits()
	desk.dialog.locator('input[data-fieldname="since"]').fill("2020-01-01 00:00:00")
	desk.dialog.locator('input[data-fieldname="since"]').press("Tab")
	desk.dialog.locator(".btn-primary:visible").click()
	settled(
		desk, "() => frappe.db.count('Sync Log', { filters: { integration: 'desk-crm', mode: 'Backfill' } })"
	)
	until(desk, "Sync Log", newest(desk, "Sync Log", mode="Backfill"), "status", "Completed")
	desk.open("Sync Settings", "desk-customers")


def test_a_checkpoint_is_reset_only_on_a_persons_word(desk: Desk):
	desk.fill(mode="Incremental")
	desk.save()
	desk.press("Sync Now")
	settled(
		desk,
		"() => frappe.db.get_value('Sync Settings', 'desk-customers', 'checkpoint').then((r) => r.message.checkpoint)",
	)
	until(desk, "Sync Settings", "desk-customers", "status", "OK")
	desk.open("Sync Settings", "desk-customers")
	desk.press("Reset Checkpoint", "Actions")
	expect(desk.dialog).to_contain_text("Nothing is duplicated")
	desk.dialog.locator(".btn-primary:visible").click()
	desk.rest()
	assert not value(desk, "Sync Settings", "desk-customers", "checkpoint")
	desk.open("Sync Settings", "desk-customers")
	desk.fill(mode="Full")
	desk.save()


def test_a_run_is_seen_without_socketio(desk: Desk, crm: Sandbox):
	page = desk.page.context.new_page()
	page.route("**/socket.io/**", lambda route: route.abort())
	page.goto(f"{desk.url}/app/sync-settings/desk-customers", wait_until="domcontentloaded")
	page.wait_for_function(OPENED, arg="Sync Settings")
	crm.latency = 3.0
	try:
		page.locator('button[data-label="Sync%20Now"]:visible').click()
		run = page.locator(".hub-run [data-run]")
		expect(run).to_be_visible()
		seen = int(run.get_attribute("data-fetched"))
		page.wait_for_function(
			"seen => Number(document.querySelector('.hub-run [data-run]')?.dataset.fetched) > seen", arg=seen
		)
	finally:
		crm.latency = 0.0
	page.close()
	until(desk, "Sync Settings", "desk-customers", "status", "OK")


def test_a_childs_fields_are_offered(desk: Desk):
	desk.new("Sync Settings")
	desk.fill(stream_name="desk-contacts", integration="desk-crm", target_doctype="Contact")
	row = desk.field("mapping").locator('.grid-row[data-idx="1"]')
	if not row.count():
		desk.field("mapping").get_by_role("button", name="Add Row").click()
	row.locator('.grid-static-col[data-fieldname="field"]').click()
	row.locator('.editable-row input[data-fieldname="field"]').fill("email_ids.email")
	expect(
		row.locator(".awesomplete li").filter(has_text="email_ids.email_id (Email ID)").first
	).to_be_visible()
	desk.enter()  # leaves it unsaved


def test_the_workspace_is_read(desk: Desk):
	desk.go("Workspaces", "Integration Hub")
	expect(desk.page.locator(".number-widget-box:visible .number")).to_have_count(8)
	desk.rest()
	desk.fits()
	desk.show("desk-workspace", height=1180)


def test_what_the_server_refuses_is_not_tried(desk: Desk):
	desk.open("Sync Settings", "desk-customers")
	before = count(desk, "Sync Log")
	desk.fill(records_path="data[")
	desk.press("Sync Now")
	expect(desk.dialog).to_contain_text("Settings Not Saved")
	desk.page.wait_for_timeout(3000)
	assert count(desk, "Sync Log") == before
	assert desk.page.locator(".desk-alert").filter(has_text="was handed to a worker").count() == 0
	desk.errors.clear()  # a refused save is a 417, which the browser notes
	desk.enter()


def test_the_end_of_a_token_is_shown(desk: Desk, crm: Sandbox):
	desk.new("Integration Settings")
	desk.fill(integration_name="desk-oauth", base_url=crm.url, test_path="/v1/me")
	desk.fill(auth_type="OAuth2 Client Credentials", token_url=f"{crm.url}/oauth/token")
	desk.fill(client_id=access.CLIENT_ID, client_secret=access.CLIENT_SECRET)
	desk.save()
	desk.press("Test Connection")
	expect(desk.dialog).to_contain_text("Connected")
	desk.close_dialog()
	ends = desk.field("health").locator(".col-6").filter(has_text="Token Expires")
	expect(ends).to_contain_text(re.compile(r"\d\d:\d\d"))


def test_checked_events_are_replayed_from_the_list(desk: Desk):
	desk.page.evaluate(
		"frappe.set_route('List', 'Webhook Log', { integration: 'desk-crm', status: 'Completed' })"
	)
	desk.page.wait_for_function("cur_list && cur_list.doctype === 'Webhook Log' && cur_list.data.length > 1")
	desk.rest()
	boxes = desk.page.locator(".list-row-container:visible .list-row-checkbox")
	for number in (0, 1):
		boxes.nth(number).check()
	desk.page.locator(".actions-btn-group:visible > button").click()
	desk.page.locator(".actions-btn-group .dropdown-menu a:visible").get_by_text("Replay", exact=True).click()
	expect(desk.page.locator(".desk-alert").filter(has_text="2 events will be handled again")).to_be_visible()
	kept = desk.page.locator(".hub-retention:visible")
	expect(kept).to_contain_text("Completed events are kept 30 days")


def test_a_viewer_sees_everything_and_is_offered_nothing(desk: Desk, viewer: Desk):
	viewer.open("Integration Settings", "desk-crm")
	expect(viewer.field("health")).to_contain_text("Last Success")
	viewer.offers("View", without=("Test Connection", "Send Test Webhook", "Actions"))
	viewer.open("Sync Settings", "desk-customers")
	expect(viewer.page.locator(".hub-runs .hub-bar").last).to_be_visible()
	viewer.offers("View", without=("Sync Now", "Try", "Actions"))
	viewer.open("Webhook Log", newest(desk, "Webhook Log", status="Completed"))
	viewer.offers("View", without=("Replay", "Dry-Run Replay"))
	viewer.open("Integration Error Log", newest(desk, "Integration Error Log"))
	viewer.offers("View", without=("Resolve", "Reopen", "Retry"))
	assert not viewer.errors


def test_a_manager_is_offered_what_a_manager_does(desk: Desk, manager: Desk):
	manager.open("Integration Settings", "desk-crm")
	manager.press("Test Connection")
	expect(manager.dialog).to_contain_text("Connected")
	manager.close_dialog()
	manager.open("Sync Settings", "desk-customers")
	manager.offers("Sync Now", "Try", "Actions", "View")
	manager.open("Webhook Log", newest(desk, "Webhook Log", status="Completed"))
	manager.press("Replay")
	expect(
		manager.page.locator(".desk-alert").filter(has_text="1 event will be handled again")
	).to_be_visible()
	assert not manager.errors
