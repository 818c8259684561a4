"""Records that could not be written, tried again on a person's word."""

from __future__ import annotations

import pytest

from integration_hub.stores import failures
from integration_hub.stores.database import update
from integration_hub.stores.runtime import HubError
from integration_hub.stores.settings import settings_row
from integration_hub.sync import retry_run
from integration_hub.sync.retry_run import retry_records
from integration_hub.sync.run import run_stream
from tests.compare import errors, table

STREAMS = ("customers-full", "customers-incremental", "customers-cursor")
BROKEN = [f"CUST-{number:06}" for number in range(1, 41)]


def mend(runtime, *external_ids: str) -> None:
	"""Put right what was kept of records."""
	for external_id in external_ids:
		runtime.db.execute(
			"UPDATE `tabExternal Record` SET `payload` = REPLACE(`payload`, 'perhaps', 'yes') WHERE `external_id` = %s",
			[external_id],
		)


@pytest.fixture(params=STREAMS)
def broken(request, runtime, crm):
	"""Forty records fail with one error, one with another."""
	for name in BROKEN:
		crm.customers.set(name, active="perhaps")
	crm.customers.set("CUST-000050", credit_limit="a lot")
	assert run_stream(runtime, request.param)["failed"] == 41
	return request.param


def test_all_with_one_error_are_tried_and_what_became_of_them_is_said(runtime, crm, broken):
	failure = next(row["name"] for row in errors(runtime) if "perhaps" in row["message"])
	mend(runtime, *BROKEN[:38])
	checkpoint = settings_row(runtime.db, "Sync Settings", broken)["checkpoint"]
	row = retry_records(runtime, broken, "Jane", error_log=failure)
	assert (row["mode"], row["status"], row["fetched"]) == ("Retry", "Partial", 0)
	assert row["error"] == "38 of 40 records were written. 2 failed again, with the same error."
	stream = settings_row(runtime.db, "Sync Settings", broken)
	assert (stream["status"], stream["checkpoint"]) == ("Failing", checkpoint)
	assert {error["status"] for error in errors(runtime)} == {"Open"}
	mend(runtime, *BROKEN)
	assert retry_records(runtime, broken, error_log=failure)["error"] == "2 of 2 records were written."
	assert {error["message"][:6]: error["status"] for error in errors(runtime)} == {
		"active": "Resolved",
		"credit": "Open",
	}


def test_named_ones_are_tried_alone_dead_ones_too(runtime, crm, broken):
	runtime.db.execute(
		"UPDATE `tabExternal Record` SET `status` = 'Dead', `attempts` = 10 WHERE `status` = 'Failed'"
	)
	mend(runtime, *BROKEN)
	rows = failures.records(runtime, broken, statuses=("Dead",), limit=3)
	row = retry_records(runtime, broken, names=[row["name"] for row in rows] + ["nothing"])
	assert (row["status"], row["error"]) == ("Completed", "3 of 3 records were written.")
	assert len(failures.records(runtime, broken, statuses=("Dead",), limit=100)) == 38


def test_another_error_is_told_from_the_same_one(runtime, crm, broken):
	runtime.db.execute("UPDATE `tabExternal Record` SET `payload` = REPLACE(`payload`, '\"perhaps\"', '{}')")
	row = retry_records(runtime, broken)
	assert row["error"] == "0 of 41 records were written. 41 failed again, 1 with the same error."


def test_what_nothing_is_kept_of_is_said(runtime, crm, broken):
	runtime.db.execute("UPDATE `tabExternal Record` SET `payload` = NULL WHERE `external_id` = 'CUST-000050'")
	mend(runtime, *BROKEN)
	said = retry_records(runtime, broken)["error"]
	assert said.startswith("40 of 40 records were written. Of 1 nothing is kept")


def test_no_more_than_some_are_tried_at_once(runtime, crm, broken, monkeypatch):
	monkeypatch.setattr(retry_run, "MOST", 10)
	mend(runtime, *BROKEN)
	assert "31 are left for another retry." in retry_records(runtime, broken)["error"]
	assert len(failures.records(runtime, broken, statuses=("Failed",), limit=100)) in (31, 32)


def test_a_stream_that_runs_or_rests_tries_nothing(runtime, crm, broken):
	with runtime.lock(f"sync:{broken}"), pytest.raises(HubError, match="running"):
		retry_records(runtime, broken)
	update(runtime.db, "Sync Settings", broken, {"enabled": 0})
	with pytest.raises(HubError, match="disabled"):
		retry_records(runtime, broken)


def test_a_record_that_went_meanwhile_goes_with_the_next_walk(runtime, crm):
	crm.customers._rows["CUST-000001"]["active"] = "perhaps"
	run_stream(runtime, "customers-full")
	mend(runtime, "CUST-000001")
	crm.customers._deleted["CUST-000001"] = {**crm.customers._rows.pop("CUST-000001"), "deleted": True}
	assert retry_records(runtime, "customers-full")["created"] == 1
	assert run_stream(runtime, "customers-full")["deleted"] == 1
	assert len(table(runtime, "full")) == 249
