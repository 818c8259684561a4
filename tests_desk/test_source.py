"""A stream is set up by looking at its source: the list, the mapping and the pagination are picked, not typed."""

from __future__ import annotations

from playwright.sync_api import expect

from integration_hub.sandbox import Sandbox
from tests_desk.desk import Desk, value
from tests_desk.test_forms import make_integration


def test_a_source_is_looked_at_before_the_stream_is_saved(desk: Desk, crm: Sandbox):
	make_integration(desk, crm)
	desk.new("Sync Settings")
	desk.fill(stream_name="desk-source", integration="desk-crm", target_doctype="Desk Customer")
	desk.fill(endpoint="/v1/customers/page")
	desk.field("source_look").get_by_role("button", name="Look at the Source").click()
	expect(desk.dialog).to_contain_text("What the Source Answers")
	expect(desk.dialog.locator(".hub-tree")).to_contain_text("email")
	desk.fits()
	desk.show("look-at-source", element=desk.dialog.locator(".modal-content"), height=860)
	desk.dialog.locator(".hub-pagination").get_by_role("button", name="Use").click()
	desk.page.wait_for_function(
		"cur_frm.doc.pagination === 'Page Number' && cur_frm.doc.more_path === 'has_more'"
	)
	desk.dialog.locator(".hub-pick").first.click()
	desk.page.wait_for_function("cur_frm.doc.records_path === 'data'")
	desk.page.wait_for_timeout(600)
	expect(desk.dialog.locator(".hub-list.btn-primary")).to_have_count(1)
	desk.dialog.get_by_role("button", name="Map by Name").click()
	desk.page.wait_for_function("cur_frm.doc.mapping.length >= 4")
	rows = desk.page.evaluate(
		"Object.fromEntries(cur_frm.doc.mapping.map((r) => [r.field, [r.source_path, r.conversion]]))"
	)
	assert rows["customer_name"][0] == "name" and rows["email"][0] == "email"
	assert rows["credit_limit"] == ["credit_limit", "Number"] and rows["active"] == ["active", "Check"]
	keys = desk.field("source_keys").locator("tr[data-path='email']")
	expect(keys).to_contain_text("@")
	desk.fits()


def test_paths_are_suggested_and_others_may_be_written(desk: Desk):
	grid = desk.field("mapping")
	count = grid.locator(".grid-body .grid-row").count()
	grid.get_by_role("button", name="Add Row").click()
	row = grid.locator(f'.grid-row[data-idx="{count + 1}"]')
	row.locator('.grid-static-col[data-fieldname="source_path"]').click()
	path = row.locator('.editable-row input[data-fieldname="source_path"]')
	path.fill("updated")
	expect(row.locator(".awesomplete li").filter(has_text="updated_at").first).to_be_visible()
	path.fill("join(' ', [name, email])")
	path.press("Tab")
	assert desk.page.evaluate("cur_frm.doc.mapping.at(-1).source_path") == "join(' ', [name, email])"
	desk.page.evaluate("cur_frm.get_field('mapping').grid.grid_rows.at(-1).remove()")


def test_it_is_saved_off_and_says_so_and_its_preview_keeps_the_order(desk: Desk):
	desk.save()
	if desk.dialog.count():  # another stream writes into this DocType, which is said
		desk.close_dialog()
	assert not value(desk, "Sync Settings", "desk-source", "enabled")
	expect(desk.page.locator(".form-message:visible")).to_contain_text(
		"This stream is off. Sync Now runs it and switches it on."
	)
	desk.fits()
	desk.press("Preview", "Try")
	expect(desk.dialog).to_contain_text("Customer Name")
	shown = desk.dialog.locator("thead th").all_inner_texts()
	labels = desk.page.evaluate(
		"cur_frm.doc.mapping.map((r) => frappe.meta.get_label('Desk Customer', r.field))"
	)
	assert [text.strip() for text in shown[1:]] == labels
	desk.close_dialog()


def test_a_wrong_path_says_where_the_records_are(desk: Desk):
	desk.fill(records_path="data.items")
	desk.field("source_look").get_by_role("button", name="Look at the Source").click()
	expect(desk.dialog.locator(".alert-danger")).to_contain_text("records are at data")
	desk.close_dialog()
	desk.enter()


def test_behind_a_pause_it_is_said_at_once(desk: Desk, crm: Sandbox):
	crm.budget.limit, crm.budget.period = 1, 26
	try:
		desk.open("Integration Settings", "desk-crm")
		for _ in range(2):
			desk.press("Test Connection")
			expect(desk.dialog).to_be_visible(timeout=15_000)
			said = desk.dialog.inner_text()
			desk.close_dialog()
	finally:
		crm.budget.limit = 0
	assert "Paused" in said
	desk.errors.clear()
	desk.enter()
