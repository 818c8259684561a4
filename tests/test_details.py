"""One request for each record of a list that changed, merged into what the list says."""

from __future__ import annotations

import threading
import time

import pytest

from integration_hub.stores.runtime import HubError
from integration_hub.sync.dry_runs import dry_run, preview
from integration_hub.sync.retry_run import retry_records
from integration_hub.sync.run import run_stream
from tests import list_server
from tests.list_server import stream_of

DETAILS = 'record_endpoint = "/things/{id}"\nfetch_details = true\n'


class Source:
	"""A list of things without their names, which their details have. gone, broken: details of these ids."""

	def __init__(self, count: int = 6):
		self.names = {str(n): f"n{n}" for n in range(1, count + 1)}
		self.versions = dict.fromkeys(self.names, 1)
		self.gone: set[str] = set()
		self.broken: dict[str, int] = {}
		self.asked: list[str] = []

	def change(self, id: str, name: str) -> None:
		self.names[id], self.versions[id] = name, self.versions[id] + 1

	def __call__(self, path, query):
		if path == "/things":
			rows = [
				{"id": id, "v": self.versions[id], "at": f"2026-01-01T00:00:0{v}Z"}
				for id, v in self.versions.items()
			]
			return [row for row in rows if row["at"] >= query.get("modified_since", "")[:19]]
		id = path.split("/")[2]
		self.asked.append(id)
		if id in self.gone:
			return 404, {}, {}
		if id in self.broken:
			return self.broken[id], {}, {"error": "no"}
		return {"data": {"id": id, "name": self.names[id], "v": 99}}


@pytest.fixture
def hub(tmp_path, monkeypatch):
	text = list_server.HUB.replace('thing = "id"', 'thing = "name"')
	monkeypatch.setattr(list_server, "HUB", text)
	inside = 'record_answer_path = "data"\n'
	return lambda source, more="", mode="Full": stream_of(tmp_path, source, DETAILS + inside + more, mode)


def found(runtime) -> list[str]:
	return sorted(row["thing"] for row in runtime.db.query("SELECT `thing` FROM `tabThing`"))


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("write_mode", ["Documents", "Bulk"])
def test_only_what_changed_is_asked_for(hub, lanes, write_mode):
	source = Source()
	with hub(source, f'lanes = {lanes}\nwrite_mode = "{write_mode}"\n') as (_server, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["error"], row["created"]) == ("Completed", None, 6)
		assert found(runtime) == sorted(source.names.values())
		source.asked.clear()
		row = run_stream(runtime, "things")
		assert (row["fetched"], row["unchanged"], source.asked) == (6, 6, [])
		source.change("3", "new")
		source.versions["4"] = 7  # the entry in the list changed, what is mapped did not
		assert run_stream(runtime, "things")["updated"] == 1
		assert sorted(source.asked) == ["3", "4"] and found(runtime) == sorted(source.names.values())
		source.asked.clear()
		del source.names["1"], source.versions["1"]
		assert run_stream(runtime, "things")["deleted"] == 1
		assert not source.asked


def test_a_document_that_a_person_deleted_is_made_again(hub):
	source = Source()
	with hub(source) as (_server, runtime):
		run_stream(runtime, "things")
		runtime.db.execute("DELETE FROM `tabThing` WHERE `thing` = 'n2'")
		run_stream(runtime, "things")
		assert found(runtime) == sorted(source.names.values())


def test_another_mapping_asks_for_all_again(hub, tmp_path):
	source = Source(2)
	with hub(source) as (_server, runtime):
		run_stream(runtime, "things")
		runtime.db.execute("UPDATE `tabSync Field Mapping` SET `source_path` = 'v' WHERE `parent` = 'things'")
		source.asked.clear()
		run_stream(runtime, "things")
		assert found(runtime) == ["99", "99"], "what the detail says wins"


@pytest.mark.parametrize(
	("setting", "value", "left"),
	[
		("record_filter", "name != 'n1'", None),
		("deleted_path", "name == 'n1'", ["n2"]),
		("skip_when", "name == 'n1'", ["n1", "n2"]),
	],
)
def test_another_rule_looks_at_all_again(hub, setting, value, left):
	source = Source(2)
	with hub(source) as (_server, runtime):
		run_stream(runtime, "things")
		runtime.db.execute(f"UPDATE `tabSync Settings` SET `{setting}` = %s WHERE `name` = 'things'", [value])
		source.asked.clear()
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert sorted(source.asked) == ["1", "2"]
		assert left is None or found(runtime) == left


@pytest.mark.parametrize(("rule", "deleted"), [("Skip", 0), ("Deleted", 1)])
def test_a_detail_that_is_missing_by_the_rule(hub, rule, deleted):
	source = Source()
	with hub(source, f'detail_missing = "{rule}"\n') as (_server, runtime):
		run_stream(runtime, "things")
		source.gone = {"2"}
		source.change("2", "x")
		row = run_stream(runtime, "things")
		assert (row["status"], row["deleted"]) == ("Completed", deleted)
		assert ("n2" in found(runtime)) is (not deleted)
		assert ("1 records have no detail" in (row["error"] or "")) is (not deleted)


@pytest.mark.parametrize("mode", ["Full", "Incremental"])
@pytest.mark.parametrize("lanes", [1, 3])
def test_a_detail_that_fails_is_one_records_failure_and_is_retried(hub, mode, lanes):
	source = Source()
	more = f'updated_at_path = "at"\nlanes = {lanes}\noverlap_seconds = 0\n'
	with hub(source, more, mode) as (_server, runtime):
		source.broken = {"2": 500, "5": 422}
		row = run_stream(runtime, "things")
		assert (row["status"], row["failed"], row["created"]) == ("Partial", 2, 4)
		assert "HTTP" in row["error"]
		source.broken = {}
		runtime.db.execute("UPDATE `tabExternal Record` SET `retry_at` = NULL")
		run_stream(runtime, "things")
		assert found(runtime) == sorted(source.names.values())
		assert run_stream(runtime, "things")["status"] == "Completed"


def test_a_person_retries_what_lacks_its_detail(hub):
	source = Source()
	with hub(source) as (_server, runtime):
		source.broken = {"2": 500}
		run_stream(runtime, "things")
		assert "1 failed again" in retry_records(runtime, "things")["error"]
		source.broken = {}
		assert "1 of 1 records were written" in retry_records(runtime, "things")["error"]
		assert found(runtime) == sorted(source.names.values())


def test_refused_credentials_are_no_records_failure(hub):
	source = Source()
	with hub(source) as (_server, runtime):
		source.broken = {"1": 401}
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and not found(runtime)


def test_another_record_than_the_one_asked_for_is_refused(hub):
	source = Source(2)

	def answer(path, query):
		found = source(path, query)
		return {"data": {"id": "other"}} if path == "/things/2" else found

	with hub(answer) as (_server, runtime):
		assert run_stream(runtime, "things")["failed"] == 1
		assert found(runtime) == ["n1"]


def test_the_detail_stands_under_its_key(hub, monkeypatch):
	monkeypatch.setattr(list_server, "HUB", list_server.HUB.replace('"name"', '"detail.name"'))
	source = Source(2)
	with hub(source, 'detail_key = "detail"\n') as (_server, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == ["n1", "n2"]


def test_a_look_has_the_details_too(hub):
	source = Source(3)
	with hub(source) as (_server, runtime):
		assert [row["values"]["thing"] for row in preview(runtime, "things")] == ["n1", "n2", "n3"]
		assert dry_run(runtime, "things").counts.created == 3
		run_stream(runtime, "things")
		source.change("1", "x")
		looked = dry_run(runtime, "things")
		assert (looked.counts.updated, looked.counts.unchanged, looked.orphans) == (1, 2, 0)


def test_details_are_fetched_side_by_side(hub):
	source, busy, lock = Source(12), {"now": 0, "most": 0}, threading.Lock()

	def answer(path, query):
		with lock:
			busy["now"] += 1
			busy["most"] = max(busy["most"], busy["now"])
		time.sleep(0.02 if path != "/things" else 0)
		with lock:
			busy["now"] -= 1
		return source(path, query)

	with hub(answer, "lanes = 4\n") as (_server, runtime):
		assert run_stream(runtime, "things")["created"] == 12
		assert 1 < busy["most"] <= 5 and len(source.asked) == 12


@pytest.mark.parametrize(
	("text", "field"),
	[
		("fetch_details = true\n", "record_endpoint"),
		(f'{DETAILS}flatten_path = "x"\n', "flatten_path"),
		(f'{DETAILS}detail_missing = "Maybe"\n', "detail_missing"),
	],
)
def test_wrong_settings_are_refused_by_field(tmp_path, text, field):
	with pytest.raises(HubError) as refused, stream_of(tmp_path, Source(), text):
		raise AssertionError("it was taken")
	assert refused.value.field == field
