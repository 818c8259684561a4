"""Streams of many lists against a model of a source: after each run that settles, what is here is what is there."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream
from tests.list_server import Lists

HUB = """
[hub]
allowed_hosts = ["{host}"]
[integration.source]
base_url = "{url}"
backoff_min = 0.01
max_attempts = 2
max_wait = 0.05
breaker_threshold = 0
[stream.shops]
integration = "source"
enabled = false
endpoint = "/shops"
pagination = "Page Number"
page_size = 2
updated_at_path = "at"
deleted_path = "deleted"
target_doctype = "Thing"
[stream.shops.mapping]
thing = "id"
[stream.things]
integration = "source"
mode = "{mode}"
endpoint = "/shops/{{parent.id}}/things"
parent_stream = "shops"
pagination = "Page Number"
page_size = 2
changed_since_param = ""
overlap_seconds = 0
target_doctype = "Thing"
deletion_policy = "Delete"
max_delete_percent = 100
{more}
[stream.things.mapping]
thing = "id"
[table.Thing]
thing = "Data"
"""
CHANGED = "parent_changed_only = true\n"
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Model:
	"""A source of shops with things. Each change of a thing moves the time of its shop."""

	def __init__(self, tombstones: bool):
		self.clock, self.serial = 0, 0
		self.shops: dict[int, list[int]] = {}
		self.times: dict[int, int] = {}
		self.gone: dict[int, int] = {}
		self.tombstones = tombstones
		self.broken: set[int] = set()
		self.begin(())

	def begin(self, plan) -> None:
		"""Begin to count requests. plan: what happens at which of them."""
		self.requests, self.plan, self.killed = 0, dict(plan), False

	def change(self, what: int, where: int) -> None:
		"""Make, remove or move something: chosen by numbers."""
		self.clock += 1
		ids = sorted(self.shops)
		if not ids or what == 0:
			self.serial += 1
			self.shops[self.serial], self.times[self.serial] = [], self.clock
			return
		shop = ids[where % len(ids)]
		things = self.shops[shop]
		if what == 1 and len(ids) > 1:
			self.shops.pop(shop)
			self.gone[shop] = self.clock
		elif what == 2 and things:
			things.pop(where % len(things))
		else:
			self.serial += 1
			things.insert(where % (len(things) + 1), self.serial)
		self.times[shop] = self.clock

	def _rows(self) -> list[dict]:
		rows = [{"id": shop, "at": _text(self.times[shop])} for shop in self.shops]
		if self.tombstones:
			rows += [{"id": shop, "at": _text(at), "deleted": True} for shop, at in self.gone.items()]
		return rows

	def __call__(self, path, query):
		self.requests += 1
		event = self.plan.pop(self.requests, None)
		if event == "stop":
			return 429, {"Retry-After": "0.06"}, {}
		if event == "kill":
			self.killed, event = True, None
		if event:
			self.change(*event)
		first = (int(query.get("page", 1)) - 1) * 2
		if path == "/shops":
			return [row for row in self._rows() if row["at"] >= query.get("modified_since", "")][
				first : first + 2
			]
		shop = int(path.split("/")[2])
		if shop in self.broken:
			return 500, {}, {}
		if shop not in self.shops:
			return 404, {}, {}
		return [{"id": f"{shop}-{thing}"} for thing in self.shops[shop]][first : first + 2]

	def all(self) -> set[str]:
		return {f"{shop}-{thing}" for shop, things in self.shops.items() for thing in things}


def _text(at: int) -> str:
	return (EPOCH + timedelta(seconds=at)).isoformat().replace("+00:00", ".000000Z")


@pytest.fixture(scope="module")
def server():
	with Lists(lambda path, query: []) as lists:
		yield lists


def found(runtime: StandaloneRuntime) -> set[str]:
	return {row["thing"] for row in runtime.db.query("SELECT `thing` FROM `tabThing`")}


def settle(runtime: StandaloneRuntime, model: Model) -> dict:
	"""Run until the source does not put it off, and nobody stops it; return the last run's row."""

	def progress(run) -> None:
		if model.killed and run.status == "Running":
			model.killed = False
			raise KeyboardInterrupt

	runtime.progress = progress
	while True:
		try:
			row = run_stream(runtime, "things")
		except KeyboardInterrupt:
			continue
		if row["status"] != "Postponed":
			return row
		time.sleep(0.07)


CHANGE = st.tuples(st.integers(0, 5), st.integers(0, 9))
RUN = st.tuples(
	st.lists(CHANGE, max_size=5),
	st.dictionaries(st.integers(1, 25), CHANGE | st.sampled_from(["stop", "kill"]), max_size=3),
	st.sets(st.integers(1, 6), max_size=1),
)


@settings(max_examples=12)
@given(
	st.lists(RUN, min_size=1, max_size=4), st.sampled_from(["Full", "Incremental"]), st.sampled_from([1, 3])
)
def test_after_each_quiet_run_things_are_those_of_the_source(server, runs, mode, lanes):
	model = server.answer = Model(tombstones=mode == "Incremental")
	for _first in range(8):
		model.change(_first % 2 * 5, _first)
	more = (CHANGED if mode == "Incremental" else "") + f"lanes = {lanes}\n"
	with tempfile.TemporaryDirectory() as folder:
		text = HUB.format(url=server.url, host=server.url[7:], mode=mode, more=more)
		(Path(folder) / "hub.toml").write_text(text)
		with StandaloneRuntime(Path(folder) / "hub.toml") as runtime:
			for changes, plan, broken in runs:
				for change in changes:
					model.change(*change)
				before, model.broken = found(runtime), broken
				model.begin(plan)
				settle(runtime, model)
				kept = {thing for thing in before if int(thing.split("-")[0]) in broken & model.shops.keys()}
				assert kept <= found(runtime), "what is of a list that failed stays"
				model.broken = set()
				model.begin({})
				row = settle(runtime, model)
				assert row["status"] == "Completed", row["error"]
				if model.all():
					assert found(runtime) == model.all()


def _changed_only(tmp_path, server, model):
	server.answer = model
	(tmp_path / "hub.toml").write_text(
		HUB.format(url=server.url, host=server.url[7:], mode="Incremental", more=CHANGED)
	)
	return StandaloneRuntime(tmp_path / "hub.toml")


def test_only_changed_parents_are_asked_and_what_is_gone_of_them_is_removed(tmp_path, server):
	model = Model(tombstones=True)
	for what, where in ((0, 0), (0, 0), (0, 0), (5, 0), (5, 1), (5, 1), (5, 2)):
		model.change(what, where)
	with _changed_only(tmp_path, server, model) as runtime:
		settle(runtime, model)
		assert found(runtime) == model.all() and len(model.all()) == 4
		model.change(2, 1)
		server.sent.clear()
		assert run_stream(runtime, "things")["deleted"] == 1
		assert {path for _m, path, _h, _b in server.sent} == {"/shops", "/shops/2/things", "/shops/3/things"}
		assert found(runtime) == model.all()
		model.change(1, 0)  # a tombstone of the first shop: its list is not asked for
		server.sent.clear()
		assert run_stream(runtime, "things")["deleted"] == 1
		assert "/shops/1/things" not in {path for _m, path, _h, _b in server.sent}
		assert found(runtime) == model.all()


def test_a_record_of_two_parents_stays_while_one_of_them_has_it(tmp_path, server):
	lists = {"1": ["a", "b"], "2": ["b", "c"]}
	times = {"1": 1, "2": 2}

	def answer(path, query):
		if path == "/shops":
			rows = [{"id": shop, "at": _text(times[shop])} for shop in lists]
			found = [row for row in rows if row["at"] >= query.get("modified_since", "")]
		else:
			found = [{"id": thing} for thing in lists[path.split("/")[2]]]
		return found if query.get("page") == "1" else []

	with _changed_only(tmp_path, server, answer) as runtime:
		run_stream(runtime, "things")
		lists["2"], times["2"] = ["c"], 3
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert found(runtime) == {"a", "b", "c"}


def test_a_parent_without_a_time_of_change_is_refused(tmp_path, server):
	server.answer = Model(tombstones=True)
	text = HUB.format(url=server.url, host=server.url[7:], mode="Incremental", more=CHANGED)
	(tmp_path / "hub.toml").write_text(text.replace('updated_at_path = "at"\n', ""))
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "parent_stream" in row["error"]
