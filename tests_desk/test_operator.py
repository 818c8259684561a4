"""What an operator sees first, and has done for many at once. Needs no source: its rows are made by site_operator."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from scripts.benches import Bench
from tests_desk.bench import run_on_site
from tests_desk.desk import Desk, settled, until, value

OPERATOR = Path(__file__).parent / "site_operator.py"
STREAM = "desk-ops-customers"


@pytest.fixture(scope="module")
def ops(site) -> None:
	run_on_site(Bench(Path(os.environ["FRAPPE_BENCH"]).resolve()), os.environ["SITE"], OPERATOR)


def listed(desk: Desk, doctype: str, filters: dict) -> None:
	"""Open a list with these filters only."""
	desk.go("List", doctype)
	desk.page.evaluate("cur_list.filter_area.clear()")
	desk.rest()
	desk.page.evaluate("filters => frappe.set_route('List', cur_list.doctype, filters)", filters)
	desk.rest()
	desk.page.evaluate("cur_list.refresh()")
	desk.rest()


def heads(desk: Desk) -> list[str]:
	texts = desk.page.locator(".list-row-head:visible .level-left .list-row-col:visible").all_inner_texts()
	return [text.strip() for text in texts if text.strip()]


def row(desk: Desk, text: str):
	return desk.page.locator(".list-row-container:visible").filter(has_text=text).first


def menu(desk: Desk, label: str) -> None:
	desk.page.locator(".menu-btn-group:visible .btn").last.click()
	desk.page.locator(".menu-btn-group:visible .dropdown-menu a:visible").filter(has_text=label).first.click()


def act(desk: Desk, label: str) -> None:
	desk.page.locator(".actions-btn-group:visible .btn").last.click()
	desk.page.locator(".actions-btn-group:visible .dropdown-menu a:visible").filter(
		has_text=label
	).first.click()


def confirm(desk: Desk) -> None:
	desk.page.wait_for_timeout(500)
	desk.dialog.locator(".btn-primary:visible").click()


def test_an_integration_is_no_better_than_its_worst_part(ops, desk: Desk):
	listed(desk, "Integration Settings", {})
	pill = row(desk, "desk-ops").locator(".indicator-pill")
	expect(pill.first).to_contain_text("Failing")
	desk.fits()
	desk.open("Integration Settings", "desk-ops")
	expect(desk.page.locator(".page-head:visible .title-area .indicator-pill")).to_have_text("Failing")
	health = desk.page.locator(".frappe-control[data-fieldname=health]:visible")
	expect(health.locator(".hub-standing")).to_contain_text("The queue cannot be read: Error 111")
	expect(health.locator(".hub-standing")).to_contain_text("Failing streams: 1.")
	expect(health.locator(".hub-standing")).to_contain_text("Dead events: 1.")
	expect(health.locator(".hub-standing")).to_contain_text("Events without a matching route: 1.")
	expect(health).to_contain_text("Cannot be read")
	desk.fits()
	desk.show("desk-health-failing", height=900)


def test_a_person_is_told_that_alerts_reach_nobody(ops, desk: Desk):
	desk.open("Integration Settings", "desk-ops")
	expect(desk.page.locator(".hub-nobody:visible").first).to_contain_text("alerts are shown in Desk only")


def test_the_cards_count_what_they_say(ops, desk: Desk):
	desk.start("/app/integration-hub")
	for label in ("Failed Events", "Events to Look At"):
		box = desk.page.locator(".number-widget-box:visible").filter(has_text=label)
		expect(box.locator(".number")).to_be_visible()
	look = desk.page.locator(".number-widget-box:visible").filter(has_text="Events to Look At")
	waiting = desk.page.evaluate(
		"frappe.db.count('Webhook Log', { filters: { status: ['in', ['Unrouted', 'Conflict']] } })"
	)
	assert waiting >= 2  # those that test_operator has made, and what earlier modules have left
	expect(look.locator(".number")).to_have_text(str(waiting))
	desk.enter()


def test_a_streams_error_comes_first_and_lists_have_one_outcome(ops, desk: Desk):
	desk.open("Sync Settings", STREAM)
	standing = desk.page.locator(".hub-standing .alert-danger:visible")
	expect(standing).to_contain_text("Records that could not be written: 3.")
	expect(standing).to_contain_text("ops-1: email is wrong")
	desk.fits()
	desk.show("desk-stream-failing", height=900)
	listed(desk, "Sync Settings", {"integration": "desk-ops"})
	assert "Last Outcome" in heads(desk)
	expect(row(desk, STREAM)).to_contain_text("1 created, 3 failed")
	desk.fits()
	listed(desk, "Sync Log", {"integration": "desk-ops"})
	assert "Outcome" in heads(desk)
	expect(row(desk, "1 created, 3 failed")).to_be_visible()
	desk.fits()
	run = desk.page.evaluate(
		"s => frappe.db.get_list('Sync Log', { filters: { stream: s, status: 'Partial' } }).then((r) => r[0].name)",
		STREAM,
	)
	desk.open("Sync Log", run)
	top = desk.field("error").bounding_box()["y"]
	assert top < desk.field("fetched").bounding_box()["y"]
	desk.fits()


def test_failures_are_sorted_by_when_they_were_last_seen(ops, desk: Desk):
	listed(desk, "Integration Error Log", {"integration": "desk-ops", "status": "Open"})
	assert "Occurrences" in heads(desk)
	texts = desk.page.locator(".list-row-container:visible .list-row").all_inner_texts()
	places = [
		next(n for n, text in enumerate(texts) if word in text) for word in ("email is wrong", "an older one")
	]
	assert places == sorted(places)
	expect(row(desk, "an older one")).to_contain_text("41")
	desk.fits()


def test_deletions_are_listed_by_title_and_refused(ops, desk: Desk):
	desk.open("Sync Settings", STREAM)
	desk.page.locator(".hub-held button:visible").click()
	expect(desk.dialog).to_contain_text("Gone 8")
	desk.fits()
	desk.dialog.locator(".btn-modal-secondary:visible, .modal-footer .btn-secondary:visible").first.click()
	kept = desk.page.locator(".hub-kept:visible")
	expect(kept).to_contain_text("2 documents are kept")
	assert (
		desk.page.evaluate(
			"frappe.db.count('Desk Customer', { filters: { customer_name: ['like', 'Gone %'] } })"
		)
		== 2
	)
	kept.locator("a").click()
	expect(desk.page.locator(".hub-kept:visible")).to_have_count(0)


def test_all_records_of_a_list_are_tried_again_and_what_became_of_them_is_told(ops, desk: Desk):
	listed(desk, "External Record", {"stream": STREAM, "status": "Failed"})
	menu(desk, "Retry All in This List")
	expect(desk.dialog).to_contain_text("3 records")
	confirm(desk)
	question = "s => frappe.db.count('External Record', { filters: { stream: s, status: 'Failed' } }).then((n) => n === 0)"
	settled(desk, question, STREAM)
	until(desk, "Sync Settings", STREAM, "status", "OK")
	run = desk.page.evaluate(
		"s => frappe.db.get_list('Sync Log', { filters: { stream: s, mode: 'Retry' } }).then((r) => r[0].name)",
		STREAM,
	)
	assert value(desk, "Sync Log", run, "error") == "3 of 3 records were written."
	if desk.live:
		expect(desk.dialog).to_contain_text("3 of 3 records were written.")
		desk.close_dialog()


def test_streams_are_switched_and_run_together(ops, desk: Desk):
	for label, enabled in (("Switch Off", 0), ("Switch On", 1)):
		listed(desk, "Sync Settings", {"integration": "desk-ops"})
		desk.page.locator(".list-header-subject:visible .list-check-all").check()
		act(desk, label)
		for stream in (STREAM, "desk-ops-others"):
			until(desk, "Sync Settings", stream, "enabled", enabled)
	listed(desk, "Sync Settings", {"integration": "desk-ops"})
	desk.page.locator(".list-header-subject:visible .list-check-all").check()
	act(desk, "Run Now")
	for stream in (STREAM, "desk-ops-others"):
		until(desk, "Sync Settings", stream, "status", "Failing")


def test_an_integration_goes_with_all_that_belongs_to_it(ops, desk: Desk):
	desk.open("Integration Settings", "desk-ops")
	desk.page.evaluate("cur_frm.savetrash()")
	expect(desk.dialog).to_contain_text("desk-ops-others")
	expect(desk.dialog).to_contain_text("Records")
	desk.fits()
	desk.page.set_viewport_size({"width": 1280, "height": 900})
	desk.dialog.locator(".btn-danger:visible").click()
	settled(desk, "frappe.db.exists('Integration Settings', 'desk-ops').then((found) => !found)")
	settled(desk, "s => frappe.db.exists('Sync Settings', s).then((found) => !found)", STREAM)
	assert (
		desk.page.evaluate(
			"frappe.db.count('Desk Customer', { filters: { customer_name: ['like', 'Gone %'] } })"
		)
		== 2
	)
	assert desk.page.evaluate("frappe.db.count('Webhook Log', { filters: { integration: 'desk-ops' } })") == 0
