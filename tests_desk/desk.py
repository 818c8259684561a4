"""Desk as a person uses it: going somewhere, filling in, pressing, looking."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

IMAGES = Path(__file__).parent.parent / "docs/images"
WIDTHS = (390, 1280)


class Desk:
	"""A browser with a person logged in. `live`: realtime events reach it."""

	def __init__(self, page: Page, url: str, live: bool, user: str = "Administrator", password: str = ""):
		self.page, self.url, self.live = page, url, live
		self.errors: list[str] = []
		page.on("pageerror", lambda error: self.errors.append(str(error)))
		page.on("console", self._note)
		answer = page.request.post(
			f"{url}/api/method/login",
			form={"usr": user, "pwd": password or os.environ.get("ADMIN_PASSWORD", "admin")},
		)
		assert answer.ok, answer.text()
		self.enter()

	def enter(self) -> None:
		"""Load Desk, at a page that draws no chart: Frappe's complain when they are left half drawn."""
		self.start("/app/integration-settings")

	def start(self, path: str) -> None:
		"""Load Desk at a path, as a bookmark does."""
		self.page.goto(f"{self.url}{path}", wait_until="domcontentloaded")
		self.page.wait_for_function(
			"window.frappe && frappe.boot && frappe.get_route && (frappe.get_route() || []).length"
		)
		self.rest()

	def _note(self, message: Any) -> None:
		if message.type == "error":
			self.errors.append(f"{message.text} {message.location}")

	def go(self, *route: str) -> None:
		"""Go somewhere within Desk, and wait until it is there and at rest."""
		self.page.evaluate("route => frappe.set_route(route)", list(route))
		self.rest()

	def rest(self) -> None:
		self.page.wait_for_function(
			"!frappe.request.ajax_count && !document.querySelector('#freeze.in')"
			" && ![...document.querySelectorAll('.chart-loading-state:first-child')].some((el) => el.offsetParent)"
		)
		self.page.wait_for_timeout(400)

	def open(self, doctype: str, name: str) -> None:
		self.go("Form", doctype, name)
		self.page.wait_for_function(
			"([d, n]) => cur_frm && cur_frm.doctype === d && cur_frm.doc.name === n && !cur_frm.doc.__unsaved",
			arg=[doctype, name],
		)
		self.page.evaluate("cur_frm.reload_doc()")
		self.rest()

	def new(self, doctype: str) -> None:
		self.page.evaluate("doctype => frappe.new_doc(doctype)", doctype)
		self.page.wait_for_function("d => cur_frm && cur_frm.doctype === d && cur_frm.is_new()", arg=doctype)
		self.rest()

	def tab(self, name: str) -> None:
		"""Press the tab of the form that a field is in, unless it is the one that is open."""
		place = self.page.evaluate(
			"name => { const tab = cur_frm?.fields_dict[name]?.tab; return tab && !tab.is_active() && tab.df.fieldname }",
			name,
		)
		if place:
			self.page.locator(f'.form-tabs:visible .nav-link[data-fieldname="{place}"]').click()
			self.page.wait_for_timeout(300)

	def field(self, name: str) -> Locator:
		"""Return a field of the form that is open, in its tab."""
		self.tab(name)
		return (
			self.page.locator("[data-page-container] .form-page:visible, .page-container:visible")
			.locator(f'.frappe-control[data-fieldname="{name}"]:visible')
			.first
		)

	def fill(self, **values: Any) -> None:
		"""Fill in fields of the form as a person does; a field that is not shown fails."""
		for name, value in values.items():
			control = self.field(name)
			expect(control).to_be_visible()
			if isinstance(value, bool):
				control.locator("input.input-with-feedback").set_checked(value)
			elif control.locator("select").count():
				control.locator("select").select_option(value)
			else:
				control.locator("input, textarea").first.fill(str(value))
				control.locator("input, textarea").first.press("Tab")
			self.page.wait_for_timeout(150)
			self.page.evaluate(
				"frappe.ui.form.get_open_grid_form()?.hide_form()"
			)  # Tab leads into a table's first row

	def save(self) -> None:
		self.page.keyboard.press("Control+s")
		self.page.wait_for_function("cur_frm && !cur_frm.is_dirty() && !cur_frm.is_new()")
		self.rest()

	def press(self, label: str, group: str = "") -> None:
		"""Press a button of the form's head."""
		head = self.page.locator(".page-head:visible").last
		if group:
			head.locator(f'.inner-group-button[data-label="{encoded(group)}"] > button').click()
			head.locator(f'.inner-group-button[data-label="{encoded(group)}"] a').filter(
				has_text=label
			).click()
		else:
			head.locator(f'button[data-label="{encoded(label)}"]').click()
		self.page.wait_for_timeout(200)

	def offers(self, *labels: str, without: Sequence[str] = ()) -> None:
		"""Assert which buttons and menus the form's head has, and which not."""
		head = self.page.locator(".page-head:visible").last
		for label in labels:
			expect(head.locator(f'[data-label="{encoded(label)}"]').first).to_be_visible()
		for label in without:
			expect(head.locator(f'[data-label="{encoded(label)}"]:visible')).to_have_count(0)

	def card(self, label: str) -> None:
		"""Press a number card of the workspace that is open."""
		number = self.page.locator(".number-widget-box:visible").filter(has_text=label).locator(".number")
		expect(number).to_be_visible()  # only then it leads anywhere
		self.rest()
		number.click()

	@property
	def dialog(self) -> Locator:
		return self.page.locator(".modal.show:visible").last

	def close_dialog(self) -> None:
		self.page.wait_for_timeout(500)  # Bootstrap forgets a close that comes while the dialog fades in
		self.dialog.locator(".btn-modal-close").click()
		expect(self.page.locator(".modal.show:visible")).to_have_count(0)

	def fits(self) -> None:
		"""Assert that nothing makes the page wider than the screen, on a phone and on a desk."""
		for width in WIDTHS:
			self.page.set_viewport_size({"width": width, "height": 900})
			self.page.wait_for_timeout(300)
			widest = self.page.evaluate(
				"Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
			)
			assert widest <= width, f"{widest} px at {width}: {self.page.url}"

	def show(self, name: str, height: int = 760, width: int = 1280, element: Locator | None = None) -> None:
		"""Take a picture for the documentation: the top of the window, or an element."""
		self.page.set_viewport_size({"width": width, "height": height})
		# Whatever was scrolled while the window had another size.
		self.page.evaluate("document.querySelectorAll('.desk-alert').forEach((el) => el.remove())")
		if not element:
			self.page.mouse.move(width / 2, height / 2)
			self.page.mouse.wheel(0, -10_000)
		self.page.wait_for_timeout(700)
		IMAGES.mkdir(parents=True, exist_ok=True)
		box = element.bounding_box() if element else None
		if box:  # what of it is within the window
			box["height"] = min(box["height"], height - box["y"])
		self.page.screenshot(path=IMAGES / f"{name}.png", clip=box)
		self.page.set_viewport_size({"width": 1280, "height": 900})


def encoded(label: str) -> str:
	"""Spell a label as Frappe puts it into attributes."""
	return label.replace(" ", "%20")


def value(desk: Desk, doctype: str, name: str, field: str) -> str:
	return desk.page.evaluate(
		"([d, n, f]) => frappe.db.get_value(d, n, f).then((r) => r.message[f])", [doctype, name, field]
	)


def count(desk: Desk, doctype: str) -> int:
	return desk.page.evaluate("d => frappe.db.count(d)", doctype)


def until(desk: Desk, doctype: str, name: str, field: str, wanted: str, seconds: int = 90) -> None:
	end = time.monotonic() + seconds
	while (found := value(desk, doctype, name, field)) != wanted:
		assert time.monotonic() < end, f"{doctype} {name}: {field} is {found!r}, not {wanted!r}"
		time.sleep(0.5)


def settled(desk: Desk, question: str, arg: object = None, seconds: int = 90) -> None:
	"""Ask the server until its answer is true. Playwright's own waiting takes a promise for one."""
	end = time.monotonic() + seconds
	while not desk.page.evaluate(question, arg):
		assert time.monotonic() < end, question
		time.sleep(0.5)
