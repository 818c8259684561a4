"""The first steps: the onboarding, to its end and behind it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests_desk.desk import Desk


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
	assert [step["name"] for step in left if step["is_complete"]] == ["Integration Hub Runs"]
	for _ in range(len(left) - 1):
		skip = desk.page.locator(".onboarding-step.pending .step-skip").first
		skip.dispatch_event("click")
		desk.rest()
	expect(desk.page.locator(".onboarding-success")).to_be_visible()
	for _ in range(2):
		desk.start("/app/integration-hub")
		expect(desk.page.locator(".number-widget-box:visible .number")).to_have_count(7)
		expect(desk.page.locator(".onboarding-widget-box:visible")).to_have_count(0)
	desk.enter()
