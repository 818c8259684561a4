"""Events, records and dry runs as an operator meets them; one word for one thing. Needs no test before it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from integration_hub.sandbox import Sandbox, access, sender
from scripts.translations import entries, languages
from tests_desk.desk import Desk, count, settled, until, value

INSERT = "doc => frappe.db.insert(doc).then((made) => made.name)"
NEWEST = "f => frappe.db.get_list('Webhook Log', { filters: f, order_by: 'creation desc', limit: 1 }).then((r) => r[0].name)"
MAPPING = [("name", "customer_name"), ("email", "email"), ("city", "city"), ("credit_limit", "credit_limit")]
NAMES = {
	"Integration Settings": "Integration",
	"Sync Settings": "Stream",
	"Sync Log": "Run",
	"Webhook Log": "Event",
	"External Record": "Record",
	"Integration Error Log": "Failure",
}
KEPT = {"headers_to_keep": "X-Shop", "max_attempts": 1, "breaker_threshold": 0}
LOOKS = os.environ.get("DESK_LOOKS", "")  # a folder for pictures to look at


@pytest.fixture(scope="module")
def hub(desk: Desk, crm: Sandbox) -> Desk:
	"""An integration with webhooks and a stream, made past the forms."""
	made = desk.page.evaluate("n => frappe.db.exists('Integration Settings', n)", "desk-crm")
	if not made:
		desk.page.evaluate(
			INSERT,
			{
				"doctype": "Integration Settings",
				"integration_name": "desk-crm",
				"base_url": crm.url,
				"test_path": "/v1/me",
				"auth_type": "API Key Header",
				"secret": access.API_KEY,
				"webhook_enabled": 1,
				"webhook_secret": sender.SECRET,
				**KEPT,
			},
		)
	if not desk.page.evaluate("n => frappe.db.exists('Sync Settings', n)", "desk-own"):
		desk.page.evaluate(
			INSERT,
			{
				"doctype": "Sync Settings",
				"stream_name": "desk-own",
				"integration": "desk-crm",
				"enabled": 1,
				"mode": "Full",
				"endpoint": "/v1/customers/page",
				"records_path": "data",
				"pagination": "Page Number",
				"more_path": "has_more",
				"record_filter": "starts_with(id, 'CUST-00000')",  # a few: a run of all takes its time
				"schedule": "Off",
				"target_doctype": "Desk Customer",
				"mapping": [{"source_path": path, "field": field} for path, field in MAPPING],
			},
		)
	desk.enter()  # a warning about another stream into the same DocType may be open
	# An earlier module may have made it otherwise.
	desk.page.evaluate("v => frappe.db.set_value('Integration Settings', 'desk-crm', v)", KEPT)
	route(desk, "data")
	return desk


def route(desk: Desk, path: str) -> None:
	"""Say where the events' records lie."""
	desk.open("Integration Settings", "desk-crm")
	desk.page.evaluate(
		"""path => {
			frappe.model.clear_table(cur_frm.doc, 'routes');
			cur_frm.add_child('routes', { event_pattern: '*', action: 'Upsert Record', stream: 'desk-own', record_path: path });
			cur_frm.refresh_field('routes');
			cur_frm.dirty();
		}""",
		path,
	)
	desk.save()


def send(desk: Desk, delivery: sender.Delivery, **headers: str) -> str:
	"""Deliver an event; return the name of the newest one."""
	url = f"{desk.url}/api/method/integration_hub.api.webhook/desk-crm"
	given = sender.Delivery(delivery.event_id, delivery.body, {**delivery.headers, **headers})
	assert sender.send(url, given).status_code in (200, 202)
	return desk.page.evaluate(NEWEST, {"integration": "desk-crm"})


def look(desk: Desk, name: str) -> None:
	"""Take pictures to look at, of both widths, light and dark."""
	if not LOOKS:
		return
	Path(LOOKS).mkdir(parents=True, exist_ok=True)
	for theme in ("light", "dark"):
		desk.page.evaluate("t => document.documentElement.setAttribute('data-theme', t)", theme)
		for width in (1280, 390):
			desk.page.set_viewport_size({"width": width, "height": 1400})
			desk.page.wait_for_timeout(900)
			desk.page.screenshot(path=f"{LOOKS}/{name}-{theme}-{width}.png")
	desk.page.evaluate("document.documentElement.setAttribute('data-theme', 'light')")
	desk.page.set_viewport_size({"width": 1280, "height": 900})


def test_an_event_shows_its_attempts_and_follows_its_own_replay(hub: Desk, crm: Sandbox):
	route(hub, "wrong")
	record = {**crm.customers.alive()[3], "city": "K\u00f6ln"}
	event = send(hub, sender.make("customer.updated", record), **{"X-Shop": "s-1"})
	until(hub, "Webhook Log", event, "status", "Failed")
	hub.open("Webhook Log", event)
	attempts = hub.field("attempts_view")
	expect(attempts).to_contain_text("Failed")
	expect(attempts).to_contain_text("Upsert Record desk-own")
	expect(hub.field("payload_view")).to_contain_text("K\u00f6ln")
	expect(hub.field("payload_view")).not_to_contain_text("u00f6")
	expect(hub.field("headers_view")).to_contain_text("s-1")
	route(hub, "data")
	hub.open("Webhook Log", event)
	hub.press("Replay")
	# Nobody reloads: the form does.
	hub.page.wait_for_function("cur_frm.doc.status === 'Completed'", timeout=90_000)
	expect(attempts).to_contain_text("Completed")
	expect(attempts.locator("tbody tr")).to_have_count(2)
	made = value(hub, "Webhook Log", event, "reference_name")
	expect(attempts).to_contain_text(made)
	hub.fits()
	look(hub, "event")


def test_a_conflict_shows_how_it_differs(hub: Desk, crm: Sandbox):
	first = sender.make("customer.updated", crm.customers.alive()[1])
	send(hub, first)
	body = json.loads(first.body)
	body["data"]["city"] = "D\u00fcren"
	raw = json.dumps(body).encode()
	event = send(
		hub, sender.Delivery(first.event_id, raw, {**first.headers, sender.HEADER: sender.sign(raw)})
	)
	until(hub, "Webhook Log", event, "status", "Conflict")
	hub.open("Webhook Log", event)
	shown = hub.field("difference_view")
	expect(shown.locator("tbody tr")).to_have_count(1)
	expect(shown.locator("tbody tr")).to_contain_text("data.city")
	expect(shown.locator("tbody tr")).to_contain_text("D\u00fcren")
	hub.fits()
	look(hub, "conflict")


def test_a_record_follows_its_own_retry(hub: Desk, crm: Sandbox):
	crm.customers.set(crm.customers.alive()[0]["id"], name="")
	hub.open("Sync Settings", "desk-own")
	hub.press("Sync Now")
	question = "() => frappe.db.count('External Record', { filters: { stream: 'desk-own', status: 'Failed' } }).then((n) => n > 0)"
	settled(hub, question, seconds=300)
	failed = hub.page.evaluate(
		"frappe.db.get_list('External Record', { filters: { stream: 'desk-own', status: 'Failed' } }).then((r) => r[0].name)"
	)
	crm.customers.set(value(hub, "External Record", failed, "external_id"), name="Back Again")
	hub.open("External Record", failed)
	hub.press("Retry")
	hub.page.wait_for_function("cur_frm.doc.status === 'Bound'", timeout=300_000)


def test_a_dry_run_shows_only_what_changes_and_what_fails(hub: Desk, crm: Sandbox):
	before = count(hub, "Sync Log")
	one, (two, name) = crm.customers.alive()[4]["id"], map(crm.customers.alive()[5].get, ("id", "name"))
	crm.customers.set(one, city="Aachen")
	crm.customers.set(two, name="")
	hub.open("Sync Settings", "desk-own")
	hub.press("Dry Run", group="Try")
	rows = hub.dialog.locator("tbody tr")
	expect(rows.filter(has_text=one)).to_contain_text("Aachen")
	expect(rows.filter(has_text=one)).to_have_count(1)
	expect(rows.filter(has_text=two)).to_contain_text("customer_name: is required")
	look(hub, "dry-run")
	crm.customers.set(two, name=name)
	hub.close_dialog()
	assert count(hub, "Sync Log") == before


def test_one_thing_has_one_name_on_screen(hub: Desk):
	for doctype, name in NAMES.items():
		hub.go("List", doctype, "List")
		expect(hub.page.locator(".page-container:visible .title-text").first).to_have_text(name)
	hub.go("Workspaces", "Integration Hub")
	for label in ("Integrations", "Streams", "Runs", "Events", "Records", "Failures"):
		expect(hub.page.locator(".shortcut-widget-box:visible").filter(has_text=label).first).to_be_visible()
	shown = hub.page.locator(".layout-main-section:visible").last.inner_text()
	assert not [name for name in NAMES if name in shown]


def test_the_workspace_is_calm_where_there_is_nothing(hub: Desk):
	said: list[str] = []
	hub.page.on("console", lambda message: said.append(message.text))
	hub.start("/app/integration-hub")
	hub.rest()
	numbers = hub.page.locator(".number-widget-box:visible .number")
	expect(numbers.first).to_be_visible()
	colors = numbers.evaluate_all(
		"all => all.filter((el) => el.innerText.trim() === '0').map((el) => el.style.color)"
	)
	assert colors and not any(colors)
	assert not [text for text in said if "not a valid color" in text]
	hub.fits()
	look(hub, "workspace")
	hub.enter()


OVERLAP = """() => {
	const bubble = document.querySelector('#driver-popover-item')?.getBoundingClientRect();
	const asked = document.querySelector('.driver-highlighted-element, .driver-active-element');
	if (!bubble || !asked) return null;
	const parts = [...asked.querySelectorAll('input, select, textarea, .awesomplete > ul:not([hidden])')];
	const covers = (box) => box.width && box.left < bubble.right && bubble.left < box.right
		&& box.top < bubble.bottom && bubble.top < box.bottom;
	return parts.filter((part) => covers(part.getBoundingClientRect())).map((part) => part.tagName);
}"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
	("doctype", "tour"),
	[("Integration Settings", "Integration Hub Connect"), ("Sync Settings", "Integration Hub Stream")],
)
def test_a_bubble_of_a_tour_covers_nothing_that_it_asks_for(desk: Desk, doctype: str, tour: str, width: int):
	desk.page.set_viewport_size({"width": width, "height": 900})
	desk.new(doctype)
	desk.page.evaluate(
		"name => cur_frm.tour.init({ tour_name: name }).then(() => cur_frm.tour.start())", tour
	)
	bubble = desk.page.locator("#driver-popover-item:visible")
	expect(bubble).to_be_visible()
	for _ in range(3):
		desk.page.wait_for_timeout(700)
		asked = desk.page.locator(".driver-highlighted-element input:visible").first
		if asked.count():
			asked.click(force=True)
			desk.page.wait_for_timeout(700)
		assert not desk.page.evaluate(OVERLAP), bubble.inner_text()
		forth = bubble.locator(".driver-next-btn:visible")
		if not forth.count() or forth.is_disabled():
			break
		forth.click()
	desk.page.set_viewport_size({"width": 1280, "height": 900})
	desk.enter()


SHOWN = """() => [...document.querySelectorAll('.page-container, .layout-main-section')]
	.filter((el) => el.offsetParent)
	.flatMap((el) => [...el.querySelectorAll(
		'.control-label, .help-box, .section-head, .page-head button, .page-head a, .ellipsis, .widget-title, .nav-link, .indicator-pill')])
	.filter((el) => el.offsetParent)
	.flatMap((el) => el.innerText.split("\\n").map((line) => line.trim()))"""


def texts(desk: Desk) -> set[str]:
	"""Return the lines of text that a page shows, in all tabs of a form."""
	found = set(desk.page.evaluate(SHOWN))
	for tab in desk.page.locator(".form-tabs:visible .nav-link:visible").all():
		tab.click()
		found |= set(desk.page.evaluate(SHOWN))
	return found


@pytest.mark.parametrize("language", ["de", "es", "fr", "ar"])
def test_no_form_mixes_languages(hub: Desk, language: str):
	said = {text: there for _, text, there, _ in entries(languages()[language])}
	english = {text for text, there in said.items() if there != text and len(text) > 3} - set(said.values())
	hub.page.evaluate("l => frappe.db.set_value('User', 'Administrator', 'language', l)", language)
	try:
		hub.start("/app/integration-hub")
		look(hub, f"{language}-workspace")
		found = texts(hub)
		for doctype, name in (("Integration Settings", "desk-crm"), ("Sync Settings", "desk-own")):
			hub.open(doctype, name)
			look(hub, f"{language}-{doctype.split()[0]}")
			found |= texts(hub)
		event = hub.page.evaluate(NEWEST, {"integration": "desk-crm"})
		if event:
			hub.open("Webhook Log", event)
			look(hub, f"{language}-event")
			found |= texts(hub)
		assert not found & english
		assert found & set(said.values())
	finally:
		hub.page.evaluate("frappe.db.set_value('User', 'Administrator', 'language', 'en')")
		hub.enter()
