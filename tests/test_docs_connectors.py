"""docs/connectors.md: each recipe runs against the sandbox, and each error ends a run as the page says."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from integration_hub.connectors import BaseConnector, errors
from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.pages import Page
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox.access import API_KEY, CLIENT_SECRET
from integration_hub.stores.doctype_tables import doctypes
from integration_hub.sync.run import run_stream
from tests.compare import source, table
from tests.test_docs import ROOT, blocks, rows

PAGE = ROOT / "docs/connectors.md"
# The sandbox has a list of each style below /v1/customers.
STYLES = {
	"Page Number": "page",
	"Offset": "offset",
	"Cursor": "cursor",
	"Next Link": "next",
	"Link Header": "link",
}


def recipes(head: str) -> list[tuple[str, dict[str, str]]]:
	"""Return the rows of a table of recipes: what one sees, and the settings that fit it."""
	[found] = [table_rows for table_rows in rows(PAGE) if table_rows[0][1] == head]
	return [(seen, dict(re.findall(r"`(\w+) = (\".*?\")`", settings))) for seen, settings in found[1:]]


PAGES, LOGINS = recipes("in `[stream.NAME]`"), recipes("in `[integration.NAME]`")


def toml_of(url: str, changes: dict[str, str] | None = None) -> str:
	"""Return the first recipe's hub.toml for the sandbox at a URL, with other settings in it."""
	text, changes = blocks(PAGE, "toml")[0], dict(changes or {})
	if "auth_type" in changes:  # another login takes the place of the whole one
		text = re.sub(r"^(auth_type|api_key_name|secret) = .*\n", "", text, flags=re.MULTILINE)
	if "pagination" in changes:
		text = re.sub(r"^(pagination|more_path) = .*\n", "", text, flags=re.MULTILINE)
	for key, value in changes.items():
		text = re.sub(rf"^{key} = .*\n", "", text, flags=re.MULTILINE)
		section = "[integration.shop]\n" if key in INTEGRATION_KEYS else "[stream.shop-customers]\n"
		text = text.replace(section, f"{section}{key} = {value}\n")
	style = STYLES.get(re.findall(r'^pagination = "(.*)"', text, re.MULTILINE)[0])
	text = text.replace('endpoint = "customers"', f'endpoint = "customers/{style}"' if style else "")
	text = text.replace("https://shop.example.com/api", f"{url}/v1").replace("https://shop.example.com", url)
	return f'[hub]\nallowed_hosts = ["127.0.0.1:*"]\nencryption_key = "env:HUB_KEY"\n{text}'


INTEGRATION_KEYS = {field["fieldname"] for field in doctypes()["Integration Settings"]["fields"]}


@pytest.fixture
def opened(tmp_path, monkeypatch):
	"""Open the runtime of a hub.toml; close it at the end."""
	monkeypatch.setenv("SHOP_API_KEY", API_KEY)
	monkeypatch.setenv("SHOP_CLIENT_SECRET", CLIENT_SECRET)
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	runtimes = []

	def open_(text: str) -> StandaloneRuntime:
		(tmp_path / "hub.toml").write_text(text)
		runtimes.append(StandaloneRuntime(tmp_path / "hub.toml"))
		return runtimes[-1]

	yield open_
	for runtime in runtimes:
		runtime.close()


def names_in(runtime: StandaloneRuntime) -> set[str]:
	return {
		row["customer_name"] for row in runtime.db.query("SELECT `customer_name` FROM `tabShop Customer`")
	}


def alive(crm) -> set[str]:
	return {customer["name"] for customer in crm.customers.alive()}


def test_there_is_a_recipe_for_each_kind_of_pages_and_of_login():
	kinds = {field["fieldname"]: field for field in doctypes()["Sync Settings"]["fields"]}
	paginations = {settings["pagination"].strip('"') for _, settings in PAGES}
	assert paginations == set(kinds["pagination"]["options"].split("\n"))
	assert len(LOGINS) == 5


@pytest.mark.parametrize("settings", [s for _, s in PAGES if s["pagination"].strip('"') in STYLES], ids=str)
def test_each_recipe_for_pages_brings_the_whole_list(opened, crm, settings):
	with opened(toml_of(crm.url, settings)) as runtime:
		run = run_stream(runtime, "shop-customers")
		assert (run["status"], run["created"], run["error"]) == ("Completed", 250, None)
		assert names_in(runtime) == alive(crm)


@pytest.mark.parametrize("settings", [s for _, s in LOGINS], ids=str)
def test_each_recipe_for_a_login_is_let_in(opened, crm, settings):
	with opened(toml_of(crm.url, settings)) as runtime:
		assert run_stream(runtime, "shop-customers")["status"] == "Completed"


def test_the_recipe_for_changes_follows_them(opened, crm):
	[changes] = [block for block in blocks(PAGE, "toml") if "changed_since_param" in block]
	changes = changes.replace('"customers"', '"customers/page"')
	with opened(f"{toml_of(crm.url)}\n{changes}") as runtime:
		assert run_stream(runtime, "shop-changes")["created"] == 250
		crm.change(create=3, update=4, delete=2)
		run = run_stream(runtime, "shop-changes")
		assert (run["created"], run["deleted"]) == (3, 2)  # the sandbox changes other fields than these two
		assert names_in(runtime) == alive(crm)


def test_the_recipe_for_another_site_is_taken(opened, tmp_path):
	(tmp_path / "branch-token").write_text("token a:b")
	[branch] = [block for block in blocks(PAGE, "toml") if "integration.branch" in block]
	with opened(branch) as runtime:
		assert runtime.connector("branch").config.connector == "Frappe"


def test_expressions_of_the_recipes_can_be_read():
	filters = re.findall(r'record_filter = "(.*?)"', PAGE.read_text())
	assert filters and not any(path_problem(expression) for expression in filters)


def module_of(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
	"""Have a module `acme` beside hub.toml."""
	acme = types.ModuleType("acme")
	vars(acme).update(names)
	monkeypatch.setitem(sys.modules, "acme", acme)


@pytest.fixture
def connector_code() -> str:
	return next(block for block in blocks(PAGE, "python") if "class AcmeConnector" in block)


def test_your_own_connector_is_short_and_runs(make_runtime, crm, monkeypatch, connector_code):
	assert len(connector_code.strip().splitlines()) <= 30
	names: dict = {}
	exec(connector_code, names)
	module_of(monkeypatch, **names)
	monkeypatch.setenv("KEY", API_KEY)
	runtime = make_runtime(
		("[hub]", '[connectors]\nAcme = "acme.AcmeConnector"\n\n[hub]'),
		("[integration.crm]\n", '[integration.crm]\nconnector = "Acme"\n'),
		('auth_type = "OAuth2 Client Credentials"', 'auth_type = "Bearer"\nsecret = "env:KEY"'),
		('pagination = "Page Number"\nmore_path = "has_more"', 'pagination = "None"'),
	)
	assert run_stream(runtime, "customers-full")["status"] == "Completed"
	assert table(runtime, "full") == source(crm)


def test_the_test_of_a_connector_passes(monkeypatch, tmp_path, connector_code):
	"""The block of docs/developing.md, with the connector of docs/connectors.md."""
	names: dict = {}
	exec(connector_code, names)
	module_of(monkeypatch, **names)
	[test] = [
		block for block in blocks(ROOT / "docs/developing.md", "py") if "test_all_pages_arrive" in block
	]
	there: dict = {}
	exec(test, there)
	there["test_all_pages_arrive"](tmp_path)


class Raising(BaseConnector):
	"""One page, then an error."""

	error: Exception

	def pages(self, request) -> Iterator[Page]:
		yield Page([{"id": "1", "name": "Ada", "updated_at": "2026-01-31T12:00:00Z"}], "2", False, 0)
		raise self.error


def raised() -> list[tuple[str, str]]:
	[found] = [table_rows for table_rows in rows(PAGE) if table_rows[0][0] == "raise"]
	return [(row[0].strip("`"), row[2]) for row in found[1:]]


@pytest.mark.parametrize(("error", "status"), raised())
def test_each_error_ends_the_run_as_the_page_says(make_runtime, monkeypatch, error, status):
	given = {"seconds": 90, "text": "because", "name": "endpoint", **vars(errors)}
	made = KeyError("data") if error.startswith("any") else eval(error, given)
	module_of(monkeypatch, Raising=type("Raising", (Raising,), {"error": made}))
	runtime = make_runtime(
		("[hub]", '[connectors]\nAcme = "acme.Raising"\n\n[hub]'),
		("[integration.crm]\n", '[integration.crm]\nconnector = "Acme"\n'),
	)
	run = run_stream(runtime, "customers-full")
	assert (run["status"], run["created"]) == (status, 1)
	assert run["error_log"] or status == "Postponed"
	[stream] = runtime.db.query(
		"SELECT `consecutive_failures` FROM `tabSync Settings` WHERE `name` = 'customers-full'"
	)
	assert stream["consecutive_failures"] == int(status == "Failed")


def test_a_list_that_just_stops_removes_nothing(make_runtime, monkeypatch, tmp_path: Path):
	class Stopping(BaseConnector):
		given = ("1", "2")

		def pages(self, request) -> Iterator[Page]:
			yield Page(
				[{"id": id, "name": id, "updated_at": "2026-01-31T12:00:00Z"} for id in self.given],
				"",
				False,
				0,
			)

	module_of(monkeypatch, Stopping=Stopping)
	runtime = make_runtime(
		("[hub]", '[connectors]\nAcme = "acme.Stopping"\n\n[hub]'),
		("[integration.crm]\n", '[integration.crm]\nconnector = "Acme"\n'),
	)
	assert run_stream(runtime, "customers-full")["created"] == 2
	Stopping.given = ("1",)
	run = run_stream(runtime, "customers-full")
	assert (run["deleted"], run["to_delete"]) == (0, 0)
	assert "last=True" in run["error"]
