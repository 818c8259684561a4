"""Rotating a webhook secret: what a sender may still use is dropped on a person's word only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests_desk.desk import Desk, value

NAME = "desk-rotation"


@pytest.fixture
def integration(desk: Desk) -> Iterator[str]:
	desk.page.evaluate(
		"name => frappe.db.insert({doctype: 'Integration Settings', integration_name: name,"
		" base_url: 'https://crm.example', webhook_enabled: 1, webhook_secret: 'the-first-one'})",
		NAME,
	)
	desk.open("Integration Settings", NAME)
	desk.page.wait_for_timeout(1000)
	yield NAME
	desk.enter()
	desk.page.evaluate("name => frappe.db.delete_doc('Integration Settings', name)", NAME)


def rotate(desk: Desk, secret: str) -> None:
	desk.press("Rotate Webhook Secret", "Actions")
	desk.dialog.locator('input[type="password"]').fill(secret)
	desk.page.wait_for_timeout(500)
	desk.dialog.get_by_role("button", name="Rotate").click()


def test_a_second_rotation_asks_first(desk: Desk, integration: str):
	rotate(desk, "the-second-one")
	said = desk.page.locator(".desk-alert").filter(has_text="Both secrets are accepted now")
	expect(said.first).to_be_visible()
	expect(desk.page.locator(".modal.show:visible")).to_have_count(0)
	desk.rest()
	desk.page.wait_for_timeout(1000)

	stamp = desk.page.evaluate("cur_frm.doc.modified")
	rotate(desk, "the-third-one")
	expect(desk.dialog).to_contain_text("Does no sender use it anymore?")
	desk.page.wait_for_timeout(500)
	desk.dialog.get_by_role("button", name="No").click()
	desk.rest()
	desk.page.wait_for_timeout(500)
	assert value(desk, "Integration Settings", integration, "modified") == stamp

	desk.dialog.get_by_role("button", name="Rotate").click()
	desk.page.wait_for_timeout(500)
	desk.dialog.get_by_role("button", name="Yes").click()
	desk.page.wait_for_function("stamp => cur_frm.doc.modified !== stamp", arg=stamp)
	expect(desk.page.locator(".modal.show:visible")).to_have_count(0)
