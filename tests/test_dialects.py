"""The sandbox's other kinds of APIs, followed by settings alone and held against its own records and counts."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from cryptography.fernet import Fernet

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY, CLIENT_ID, CLIENT_SECRET
from integration_hub.sandbox.dialects import MOST_INVOICES, all_invoices
from integration_hub.sync.run import run_stream

HUB = """
[hub]
allowed_hosts = ["{host}"]

[integration.crm]
base_url = "{url}"
auth_type = "Bearer"
secret = "env:CRM_KEY"

[stream.customers]
integration = "crm"
endpoint = "/v1/customers/page"
records_path = "data"
pagination = "Page Number"
more_path = "has_more"
target_doctype = "Thing"
mapping = {{ thing = "id" }}

[stream.things]
integration = "crm"
target_doctype = "Thing"
deletion_policy = "Delete"
max_delete_percent = 100
page_size = 30
{stream}

[stream.things.mapping]
thing = "id"
value = "{value}"
changed = "updated_at"

[table.Thing]
thing = "Data"
value = "Float"
changed = "Data"
"""

GRAPHQL = """
endpoint = "/v1/graphql"
method = "POST"
body_format = "GraphQL"
body = "query($first: Int, $after: String) { customers(first: $first, after: $after) { nodes { id } } }"
variables = '{"first": "{page_size}", "after": "{cursor}"}'
records_path = "data.customers.nodes"
pagination = "Relay"
"""
SEARCH = """
endpoint = "/v1/search"
method = "POST"
body_format = "JSON"
body = '{"limit": "{page_size}", "after": "{cursor}", "modified_since": "{since:iso}", "include_deleted": true}'
records_path = "results"
pagination = "Cursor"
cursor_path = "paging.next.after"
mode = "Incremental"
updated_at_path = "updated_at"
deleted_path = "deleted"
"""
COUNTED = """
endpoint = "/v1/counted"
pagination = "Page Number"
total_path = "header:X-Total-Count"
"""
BEYOND = """
endpoint = "/v1/counted"
pagination = "Page Number"
end_statuses = "404"
"""
CHILDREN = """
endpoint = "/v1/customers/{parent.id}/invoices"
parent_stream = "customers"
records_path = "data"
pagination = "Offset"
total_path = "total"
page_size_param = ""
"""
WINDOWS = """
endpoint = "/v1/invoices"
params = "from={since:date}\\nto={until:date}"
window = "30d"
window_start = "2025-01-01"
window_end = "2026-01-01"
records_path = "data"
"""
CSV = """
endpoint = "/v1/export.csv"
params = "delimiter=;\\ngzip=1"
response_format = "CSV"
response_compression = "Gzip"
csv_delimiter = ";"
page_size_param = ""
"""
LINES = """
endpoint = "/v1/export.ndjson"
response_format = "JSON Lines"
page_size_param = ""
"""
XML = """
endpoint = "/v1/export.xml"
response_format = "XML"
records_path = "customers.customer"
page_size_param = ""
"""


def customers(crm: Sandbox) -> dict[str, tuple[float, str]]:
	return {one["id"]: (one["credit_limit"], one["updated_at"]) for one in crm.customers.alive()}


def bills(crm: Sandbox) -> dict[str, tuple[float, str]]:
	return {one["id"]: (one["amount"], one["updated_at"]) for one in all_invoices(crm)}


@pytest.mark.parametrize(
	("stream", "truth", "gone"),
	[
		(GRAPHQL, customers, True),
		(SEARCH, customers, True),
		(COUNTED, customers, True),
		(BEYOND, customers, True),
		(CHILDREN, bills, True),
		(WINDOWS, bills, False),
		(CSV, customers, True),
		(LINES, customers, True),
		(XML, customers, True),
	],
	ids=[
		"graphql",
		"search",
		"total in a header",
		"status beyond the end",
		"child lists",
		"windows",
		"gzipped csv",
		"lines",
		"xml",
	],
)
def test_each_kind_is_followed_record_for_record(
	stream: str, truth, gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
	monkeypatch.setenv("CRM_KEY", API_KEY)
	value = "credit_limit" if truth is customers else "amount"
	with Sandbox(customers=95) as crm:
		(tmp_path / "hub.toml").write_text(
			HUB.format(url=crm.url, host=crm.url[7:], stream=stream, value=value)
		)
		with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
			for create, update, delete in ((0, 0, 0), (3, 8, 5 if gone else 0), (1, 1, 0)):
				crm.change(create=create, update=update, delete=delete)
				run = run_stream(runtime, "things")
				assert (run["status"], run["failed"]) == ("Completed", 0), run["error"]
				rows = runtime.db.query("SELECT `thing`, `value`, `changed` FROM `tabThing`")
				assert {row["thing"]: (row["value"], row["changed"]) for row in rows} == truth(crm)


@pytest.fixture(scope="module")
def crm():
	with Sandbox(customers=40) as sandbox:
		yield sandbox


def get(crm: Sandbox, path: str, **query: str) -> requests.Response:
	return requests.get(f"{crm.url}{path}", params=query, headers={"X-Api-Key": API_KEY}, timeout=10)


def test_its_counts_agree_with_what_it_lists(crm: Sandbox):
	alive = [row["id"] for row in crm.customers.alive()]
	assert get(crm, "/v1/counted").headers["X-Total-Count"] == str(crm.counts()["alive"]) == str(len(alive))
	lists = [get(crm, f"/v1/customers/{id}/invoices").json()["total"] for id in alive]
	assert set(lists) == set(range(MOST_INVOICES + 1))
	assert sum(lists) == len(all_invoices(crm))
	months = [(f"2025-{month:02d}-01", f"2025-{month + 1:02d}-01") for month in range(1, 12)]
	months.append(("2025-12-01", "2026-01-01"))
	found = [get(crm, "/v1/invoices", **{"from": first, "to": last}).json()["data"] for first, last in months]
	assert [one for month in found for one in month] == all_invoices(crm)


def test_its_files_hold_what_lives(crm: Sandbox):
	alive = crm.customers.alive()
	packed = get(crm, "/v1/export.ndjson", gzip="1")
	assert [json.loads(line) for line in gzip.decompress(packed.content).splitlines()] == alive
	rows = list(csv.DictReader(io.StringIO(get(crm, "/v1/export.csv", delimiter=";").text), delimiter=";"))
	assert [row["name"] for row in rows] == [row["name"] for row in alive]
	root = ElementTree.fromstring(get(crm, "/v1/export.xml").content)
	assert [one.get("id") for one in root] == [row["id"] for row in alive]


LOGIN = """auth_type = "Session Token"
token_url = "/v1/session"
username = "sandbox"
secret = "env:CRM_CLIENT_SECRET"
login_body = '{"user": "{username}", "password": "{secret}"}'
token_path = "session.token"
token_name = "X-Session"
"""


def test_a_session_is_opened_once_and_again_when_it_has_ended(
	tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
	monkeypatch.setenv("CRM_CLIENT_SECRET", CLIENT_SECRET)
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	with Sandbox(customers=95) as crm:
		text = HUB.format(url=crm.url, host=crm.url[7:], stream=COUNTED, value="credit_limit")
		text = text.replace('auth_type = "Bearer"\nsecret = "env:CRM_KEY"\n', LOGIN)
		text = text.replace("[hub]", '[hub]\nencryption_key = "env:HUB_KEY"')
		(tmp_path / "hub.toml").write_text(text)
		with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
			for opened in (1, 1, 2):
				if opened == 2:
					crm.tokens.revoke_all()
				assert run_stream(runtime, "things")["status"] == "Completed"
				assert crm.counts()["tokens_issued"] == opened


def test_a_session_opens_with_the_right_password_alone(crm: Sandbox):
	def token(password: str) -> requests.Response:
		given = {"user": CLIENT_ID, "password": password}
		return requests.post(f"{crm.url}/v1/session", json=given, timeout=10)

	assert token("wrong").status_code == 401
	opened = {"X-Session": token(CLIENT_SECRET).json()["session"]["token"]}
	assert requests.get(f"{crm.url}/v1/me", headers=opened, timeout=10).status_code == 200
	crm.tokens.revoke_all()
	assert requests.get(f"{crm.url}/v1/me", headers=opened, timeout=10).status_code == 401


@pytest.mark.parametrize(
	("path", "query", "status"),
	[
		("/v1/invoices", {"from": "2025-01-01", "to": "2025-03-01"}, 400),
		("/v1/invoices", {"from": "x", "to": "2025-03-01"}, 400),
		("/v1/counted", {"page": "9"}, 404),
		("/v1/counted", {"limit": "0"}, 400),
		("/v1/customers/CUST-999999/invoices", {}, 404),
		("/v1/export.csv", {"delimiter": "ab"}, 400),
	],
)
def test_it_refuses_what_it_cannot_take(crm: Sandbox, path: str, query: dict, status: int):
	assert get(crm, path, **query).status_code == status
