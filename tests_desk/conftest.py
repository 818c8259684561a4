"""Chromium before a real site. FRAPPE_BENCH: the bench's path; SITE: a site of it that has the app.

CHROMIUM: the browser, else one that is found. The site loses the documents named desk-…, the DocType Desk Customer,
and what the onboarding makes of the sandbox: sandbox-crm with its stream contacts, and their Contacts.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from integration_hub.sandbox import Sandbox
from scripts.benches import Bench, redis_running
from tests_desk.bench import CLEAR, MARKUP, SETUP, run_on_site, served
from tests_desk.desk import Desk

PASSWORD = "desk-Pass-2781"


def _wanted(name: str) -> str:
	value = os.environ.get(name, "")
	if not value:
		pytest.exit(f"{name} is not set: FRAPPE_BENCH=… SITE=… make test-desk", returncode=2)
	return value


@pytest.fixture(scope="session")
def crm() -> Iterator[Sandbox]:
	with Sandbox(customers=1500) as sandbox:
		yield sandbox


@pytest.fixture(scope="session")
def site() -> Iterator[tuple[str, bool]]:
	bench, name = Bench(Path(_wanted("FRAPPE_BENCH")).resolve()), _wanted("SITE")
	if "integration_hub.bundle.js" not in (bench.path / "sites/assets/assets.json").read_text():
		pytest.exit("The bench has not built the app: bench build --app integration_hub", returncode=2)
	with redis_running(bench):
		run_on_site(bench, name, CLEAR)
		run_on_site(bench, name, SETUP)
		try:
			with served(bench, name) as found:
				yield found
		finally:
			run_on_site(bench, name, CLEAR)


@pytest.fixture(scope="session")
def page(site: tuple[str, bool]) -> Iterator[Page]:
	chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
	with sync_playwright() as playwright:
		browser = playwright.chromium.launch(
			executable_path=chromium,
			args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
		)
		context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
		context.set_default_timeout(60_000)  # a busy machine is slow, and still right
		expect.set_options(timeout=30_000)
		context.grant_permissions(["clipboard-read", "clipboard-write"])
		yield context.new_page()
		browser.close()


@pytest.fixture(scope="session")
def desk(page: Page, site: tuple[str, bool]) -> Desk:
	return Desk(page, *site)


def _another(page: Page, site: tuple[str, bool], user: str) -> Iterator[Desk]:
	context = page.context.browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
	context.set_default_timeout(60_000)
	yield Desk(context.new_page(), *site, user, PASSWORD)
	context.close()


@pytest.fixture
def viewer(page: Page, site: tuple[str, bool]) -> Iterator[Desk]:
	yield from _another(page, site, "desk-viewer@example.com")


@pytest.fixture
def manager(page: Page, site: tuple[str, bool]) -> Iterator[Desk]:
	yield from _another(page, site, "desk-manager@example.com")


@pytest.fixture(autouse=True)
def no_errors(desk: Desk) -> Iterator[None]:
	"""Whatever a test does, the browser's console stays free of errors."""
	desk.errors.clear()
	yield
	assert not desk.errors


@pytest.fixture
def markup(site: tuple[str, bool]) -> dict[str, str]:
	"""Rows with markup in all their texts, by DocType, written past Frappe as the engine writes them."""
	bench = Bench(Path(_wanted("FRAPPE_BENCH")).resolve())
	return json.loads(run_on_site(bench, _wanted("SITE"), MARKUP).strip().splitlines()[-1])
