"""The connector of another Frappe site against answers of its API; integration_hub/tests has it against a site."""

from __future__ import annotations

import json

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.frappe_site import FrappeConnector
from integration_hub.connectors.pages import ListRequest
from tests.list_server import Lists
from tests.test_connectors import FAST, Memory


class Site:
	"""A table each for a doctype, filtered as Frappe does; `cap` rows a page at most."""

	def __init__(self, cap: int = 1000, **tables: list[dict]):
		self.cap, self.tables = cap, {name.replace("_", " "): rows for name, rows in tables.items()}
		self.denied: set[str] = set()

	def __call__(self, path, query):
		doctype = path.rpartition("/")[2].replace("%20", " ")
		if doctype in self.denied:
			return 403, {}, {"exc_type": "PermissionError"}
		rows = [row for row in self.tables.get(doctype, []) if self._fits(row, json.loads(query["filters"]))]
		for key in reversed([part.split()[0] for part in query["order_by"].split(",")]):
			rows.sort(key=lambda row, key=key: row[key])
		return {"data": rows[: min(self.cap, int(query["limit_page_length"]))]}

	@staticmethod
	def _fits(row: dict, filters: list) -> bool:
		tests = {">": "__gt__", ">=": "__ge__", "=": "__eq__"}
		return all(
			row[key] in value if sign == "in" else getattr(row[key], tests[sign])(value)
			for key, sign, value in filters
		)


def todo(name: str, minute: int = 0) -> dict:
	return {"name": name, "modified": f"2026-01-01 10:{minute:02d}:00.000000"}


def fetch(site: Site, since: str = "", **options) -> list[dict]:
	with Lists(site) as server:
		config = IntegrationConfig("other", base_url=server.url, **FAST)
		with FrappeConnector(config, Memory(), allowed_hosts=[server.url[7:]]) as connector:
			request = ListRequest(
				"/api/resource/ToDo",
				pagination={"page_size": 10},
				since=since,
				with_deletions=True,
				**options,
			)
			pages = list(connector.pages(request))
	assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
	return [record for page in pages for record in page.records]


def test_a_page_that_something_in_between_has_capped_ends_no_list():
	todos = [todo(f"T{n:02d}", n // 4) for n in range(38)]
	for by_time in (False, True):
		found = fetch(Site(cap=3, ToDo=todos), by_time=by_time)
		assert sorted({one["name"] for one in found}) == [one["name"] for one in todos]


def deleted(name: str, new_name: str = "", minute: int = 5) -> dict:
	return {
		"name": f"D-{name}",
		"deleted_doctype": "ToDo",
		"deleted_name": name,
		"creation": f"2026-01-01 10:{minute:02d}:00.000000",
		"restored": int(bool(new_name)),
		"new_name": new_name or None,
	}


def comment(text: str, name: str, minute: int = 5) -> dict:
	return {
		"name": f"C-{text}",
		"reference_doctype": "ToDo",
		"comment_type": "Edit",
		"reference_name": name,
		"content": text,
		"creation": f"2026-01-01 10:{minute:02d}:00.000000",
	}


def gone(found: list[dict]) -> set[str]:
	return {one["name"] for one in found if one.get("deleted")}


def test_what_was_restored_under_another_name_is_gone_under_its_own():
	rows = [deleted("A"), deleted("B", "B"), deleted("C", "C-1"), deleted("old", minute=1)]
	site = Site(ToDo=[todo("B", 6), todo("C-1", 6)], Deleted_Document=rows)
	found = fetch(site, "2026-01-01T10:03:00Z", by_time=True)
	assert gone(found) == {"A", "C"}
	assert {one["name"] for one in found} == {"A", "B", "C", "C-1"}


def test_a_rename_is_told_by_its_comment_in_any_language():
	comments = [
		comment("renamed from <strong>A</strong> to <strong>B</strong>", "B"),
		comment("umbenannt von <b>X &amp; Y</b> zu <b>Z</b>", "Z"),
		comment("renamed from <strong>there</strong> to <strong>back</strong>", "there"),
		comment("restored <strong>S</strong>", "S"),
		comment("says nothing", "B"),
		comment("renamed from <strong>early</strong> to <strong>E</strong>", "E", 1),
	]
	site = Site(ToDo=[todo("B"), todo("Z"), todo("there"), todo("E")], Comment=comments)
	found = fetch(site, "2026-01-01T10:03:00Z", by_time=True)
	assert gone(found) == {"A", "X & Y"}
	assert {one["name"] for one in found} - gone(found) == {"B", "Z", "there"}


def test_many_renames_are_asked_for_few_at_a_time():
	told = [comment(f"renamed from <b>A{n}</b> to <b>B{n}</b>", f"B{n}") for n in range(25)]
	site = Site(ToDo=[todo(f"B{n}") for n in range(25)], Comment=told)
	found = fetch(site, "2026-01-01T10:03:00Z", by_time=True)
	assert len(gone(found)) == 25 and {f"B{n}" for n in range(25)} <= {one["name"] for one in found}


def test_a_user_who_may_not_read_comments_goes_on_without():
	site = Site(ToDo=[todo("B", 6)])
	site.denied.add("Comment")
	assert [one["name"] for one in fetch(site, "2026-01-01T10:03:00Z", by_time=True)] == ["B"]
