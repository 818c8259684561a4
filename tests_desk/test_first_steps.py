"""The first steps: the onboarding, at the pace of a person, to its end and behind it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests_desk.bench import end_sandbox
from tests_desk.desk import Desk, until, value

SECONDS = 600  # in which the first sync is done; a person's pace on a busy machine takes a third of it


class Person:
	"""Someone who looks a second before each action, and types twelve keys a second."""

	def __init__(self, desk: Desk):
		self.desk = desk

	def look(self) -> None:
		self.desk.rest()
		self.desk.page.wait_for_timeout(1000)

	def click(self, what: Locator) -> None:
		self.look()
		what.click()

	def write(self, field: str, text: str) -> None:
		self.look()
		control = self.desk.field(field)
		place = control.locator("input").first
		place.fill("")
		place.press_sequentially(text, delay=80)
		if control.get_attribute("data-fieldtype") == "Link":
			# With the mouse, which the tour's shade must not keep from the list.
			self.click(control.locator(".awesomplete [role=option]").filter(has_text=text).first)
		place.press("Tab")

	def save(self) -> None:
		self.look()
		self.desk.save()


@pytest.fixture
def person(desk: Desk) -> Iterator[Person]:
	end_sandbox()
	yield Person(desk)
	end_sandbox()


def test_a_first_sync_needs_no_terminal(desk: Desk, person: Person):
	"""The onboarding's link starts the sandbox and fills in the form; then a stream is picked from its answer."""
	desk.start("/app/integration-hub")
	began = time.monotonic()
	block = desk.page.locator(".onboarding-widget-box:visible")
	person.click(block.get_by_role("link", name="Start the Sandbox"))
	desk.page.wait_for_function("cur_frm?.doctype === 'Integration Settings' && cur_frm.is_new()")
	expect(desk.field("base_url").locator("input")).to_have_value("http://127.0.0.1:8765")
	person.save()
	person.look()
	desk.press("Test Connection")
	expect(desk.dialog).to_contain_text("Connected")
	person.look()
	desk.close_dialog()

	person.look()
	desk.start("/app/integration-hub")
	person.click(block.locator(".onboarding-step").filter(has_text="Say What to Fetch"))
	person.click(block.get_by_role("button", name="Create a Stream"))
	desk.page.wait_for_function("cur_frm?.doctype === 'Sync Settings' && cur_frm.is_new()")
	bubble = desk.page.locator("#driver-popover-item:visible")
	for field, text in (
		("stream_name", "contacts"),
		("integration", "sandbox-crm"),
		("target_doctype", "Contact"),
		("endpoint", "/v1/customers/page"),
	):
		expect(bubble).to_be_visible()
		person.write(field, text)
		person.click(bubble.locator(".driver-next-btn"))
	person.click(bubble.locator(".driver-close-btn, .driver-next-btn").filter(visible=True).last)
	expect(bubble).to_have_count(0)
	person.look()
	expect(desk.page.locator(".modal.show:visible")).to_have_count(0)  # which would say that it is saved

	person.click(desk.field("source_look").get_by_role("button", name="Look at the Source"))
	expect(desk.dialog.locator(".hub-tree")).to_contain_text("email")
	person.click(desk.dialog.locator(".hub-list").first)
	person.click(desk.dialog.locator(".hub-pagination").get_by_role("button", name="Use"))
	person.click(desk.dialog.get_by_role("button", name="Map by Name"))
	map_the_name(desk, person)
	person.save()
	person.look()
	desk.close_dialog()  # in which the onboarding offers to lead back
	desk.press("Sync Now")
	until(desk, "Sync Settings", "contacts", "status", "OK", SECONDS)
	took = time.monotonic() - began
	print(f"first sync: {took:.0f} s")
	assert took < SECONDS
	assert value(desk, "Sync Settings", "contacts", "enabled")
	assert (
		desk.page.evaluate("frappe.db.count('External Record', { filters: { stream: 'contacts' } })") == 250
	)
	desk.enter()


def map_the_name(desk: Desk, person: Person) -> None:
	"""Add the row that the onboarding names: a Contact needs a first name."""
	grid = desk.field("mapping")
	person.click(grid.get_by_role("button", name="Add Row"))
	row = grid.locator(".grid-body .grid-row").last
	for field, text in (("source_path", "name"), ("field", "first_name")):
		person.click(row.locator(f'.grid-static-col[data-fieldname="{field}"]'))
		place = row.locator(f'.editable-row input[data-fieldname="{field}"]')
		place.press_sequentially(text, delay=80)
		place.press("Tab")


def test_the_workspace_opens_when_all_steps_are_done(desk: Desk):
	"""One is done, the others are skipped: then nothing is left of the onboarding but the workspace."""
	desk.start("/app/integration-hub")
	block = desk.page.locator(".onboarding-widget-box:visible")
	expect(block).to_contain_text("Connect a System")
	block.locator(".onboarding-step").filter(has_text="See What It Did").click()
	block.get_by_role("button", name="Open the Runs").click()
	desk.page.wait_for_function("cur_list && cur_list.doctype === 'Sync Log'")
	desk.rest()
	desk.start("/app/integration-hub")
	left = desk.page.evaluate(
		"""() => frappe.db.get_list("Onboarding Step", { limit: 50, fields: ["name", "is_complete"],
			filters: { name: ["like", "Integration Hub %"] } })"""
	)
	done = [step["name"] for step in left if step["is_complete"]]
	assert "Integration Hub Runs" in done
	for _ in range(len(left) - len(done)):
		skip = desk.page.locator(".onboarding-step.pending .step-skip").first
		skip.dispatch_event("click")
		desk.rest()
	expect(desk.page.locator(".onboarding-success")).to_be_visible()
	for _ in range(2):
		desk.start("/app/integration-hub")
		expect(desk.page.locator(".number-widget-box:visible .number")).to_have_count(8)
		expect(desk.page.locator(".onboarding-widget-box:visible")).to_have_count(0)
	desk.enter()
