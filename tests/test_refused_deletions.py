"""Deletions that a person refuses: what was refused is not asked about again."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.stores import bindings
from integration_hub.stores.database import update
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import settings_row
from integration_hub.sync.run import approve_deletions, ask_again, refuse_deletions, run_stream
from tests.compare import table

FULL = "customers-full"


@pytest.fixture
def held(runtime, crm):
	"""Twenty documents wait for a person."""
	update(runtime.db, "Sync Settings", FULL, {"max_delete_count": 1, "max_delete_percent": 1})
	run_stream(runtime, FULL)
	crm.customers.delete(20)
	row = run_stream(runtime, FULL)
	assert (row["status"], row["to_delete"]) == ("Needs Approval", 20)
	return row["name"]


def status(runtime) -> str:
	return settings_row(runtime.db, "Sync Settings", FULL)["status"]


def test_what_was_refused_stays_and_is_not_asked_about_again(runtime, crm, held):
	assert refuse_deletions(runtime, held, "Jane") == 20
	assert status(runtime) == "OK"
	log = settings_row(runtime.db, "Sync Log", held)
	assert (log["status"], log["error"]) == ("Completed", "20 documents were kept by decision of Jane.")
	for _ in range(2):
		row = run_stream(runtime, FULL)
		assert (row["status"], row["to_delete"], row["deleted"]) == ("Completed", 0, 0)
	assert len(table(runtime, "full")) == 250
	with pytest.raises(HubError, match="no deletions waiting"):
		refuse_deletions(runtime, held)
	with pytest.raises(HubError, match="no deletions waiting"):
		approve_deletions(runtime, held)


def test_others_that_go_later_are_asked_about_alone(runtime, crm, held):
	refuse_deletions(runtime, held)
	crm.customers.delete(10)
	row = run_stream(runtime, FULL)
	assert (row["status"], row["to_delete"]) == ("Needs Approval", 10)
	assert approve_deletions(runtime, row["name"])["deleted"] == 10
	assert len(table(runtime, "full")) == 240


def test_a_record_that_came_back_is_asked_about_when_it_goes_once_more(runtime, crm, held):
	refuse_deletions(runtime, held)
	name = next(iter(crm.customers._deleted))
	crm.customers._rows[name] = {**crm.customers._deleted.pop(name), "deleted": False}
	run_stream(runtime, FULL)
	crm.customers._deleted[name] = {**crm.customers._rows.pop(name), "deleted": True}
	row = run_stream(runtime, FULL)
	assert (row["deleted"] or row["to_delete"]) == 1


def test_a_person_may_ask_to_be_asked_again(runtime, crm, held):
	refuse_deletions(runtime, held)
	assert ask_again(runtime, FULL) == 20
	assert run_stream(runtime, FULL)["to_delete"] == 20
	with pytest.raises(HubError, match="does not exist"):
		ask_again(runtime, "nosuch")


def test_refused_tombstones_of_an_incremental_stream_are_not_asked_about_again(runtime, crm):
	name = "customers-incremental"
	update(runtime.db, "Sync Settings", name, {"max_delete_count": 1, "max_delete_percent": 1})
	run_stream(runtime, name)
	crm.customers.delete(20)
	row = run_stream(runtime, name)
	assert row["status"] == "Needs Approval"
	assert refuse_deletions(runtime, row["name"]) == row["to_delete"]
	for _ in range(2):
		again = run_stream(runtime, name)
		assert (again["status"], again["deleted"]) == ("Completed", 0)
	assert len(table(runtime, "incremental")) == 250


def test_nothing_is_refused_while_the_stream_runs(runtime, crm, held):
	with runtime.lock(f"sync:{FULL}"), pytest.raises(HubError, match="running"):
		refuse_deletions(runtime, held)
	assert bindings.count_held(runtime.db, FULL, held) == 20


def test_from_the_command_line_they_are_listed_by_title_and_kept(runtime, crm, held):
	config = str(runtime.file.folder / "hub.toml")

	def say(*words: str) -> str:
		result = CliRunner().invoke(integration_hub, ["--config", config, *words])
		assert result.exit_code == 0, result.output
		return result.output

	listed = say("deletions", "--limit", "3")
	name, title = next((row["id"], row["name"]) for row in crm.customers._deleted.values())
	assert f"{FULL}: 20 wait; `approve {held}`" in listed and "… and 17 more" in listed
	everything = say("deletions", FULL, "--limit", "100")
	assert f"Deleted: {title} ({name})" in everything
	assert "20 documents are kept" in say("keep", held)
	assert "Nothing waits" in say("deletions")
	assert "20 documents" in say("deletions", FULL, "--ask-again")
	assert CliRunner().invoke(integration_hub, ["--config", config, "keep", held]).exit_code != 0
