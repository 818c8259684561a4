"""Records that could not be written: kept, tried again with backoff, given up in the end, and no matter of the fetch."""

from __future__ import annotations

import json

import pytest

from integration_hub.stores.bindings import make_due
from integration_hub.stores.database import in_transaction
from integration_hub.stores.record_backoff import MOST_ATTEMPTS
from integration_hub.stores.settings import settings_row
from integration_hub.sync.run import run_stream
from tests.compare import errors, source, table

STREAM = "customers-incremental"


def records(runtime, status: str) -> list[dict]:
	sql = "SELECT * FROM `tabExternal Record` WHERE `status` = %s ORDER BY `external_id`"
	return runtime.db.query(sql, [status])


def stream(runtime) -> dict:
	return settings_row(runtime.db, "Sync Settings", STREAM)


def make_all_due(runtime) -> None:
	runtime.db.execute("UPDATE `tabExternal Record` SET `retry_at` = NULL")


def break_one(crm, name: str = "CUST-000003") -> None:
	crm.customers._rows[name]["active"] = "perhaps"


def test_a_hopeless_record_is_given_up_and_never_slows_its_stream(runtime, crm):
	break_one(crm)
	assert run_stream(runtime, STREAM)["status"] == "Partial"
	for attempt in range(2, MOST_ATTEMPTS + 1):
		make_all_due(runtime)
		row = run_stream(runtime, STREAM)
		assert (row["status"], row["failed"]) == ("Partial", 1)
		assert "Failed again" in row["error"]
		assert stream(runtime)["consecutive_failures"] == 0
		assert (records(runtime, "Failed") or records(runtime, "Dead"))[0]["attempts"] == attempt
	assert len(records(runtime, "Dead")) == 1
	assert [e["kind"] for e in errors(runtime)].count("Records Given Up") == 1
	make_all_due(runtime)
	row = run_stream(runtime, STREAM)
	assert (row["status"], row["failed"]) == ("Completed", 0)

	dead = records(runtime, "Dead")[0]
	crm.customers._rows["CUST-000003"]["active"] = True
	runtime.db.execute("UPDATE `tabExternal Record` SET `payload` = replace(`payload`, 'perhaps', 'yes')")
	in_transaction(runtime.db, lambda: make_due(runtime, STREAM, [dead["name"]]))
	assert run_stream(runtime, STREAM)["status"] == "Completed"
	assert table(runtime, "incremental") == source(crm)
	assert (records(runtime, "Dead"), records(runtime, "Failed")) == ([], [])


def test_a_retry_waits_longer_each_time(runtime, crm):
	break_one(crm)
	run_stream(runtime, STREAM)
	assert records(runtime, "Failed")[0]["retry_at"] is None  # the first comes with the next run
	run_stream(runtime, STREAM)
	first = records(runtime, "Failed")[0]
	assert first["retry_at"] > runtime.now(ahead=200)
	row = run_stream(runtime, STREAM)  # not due: nothing is tried
	assert (row["status"], row["failed"]) == ("Completed", 0)
	assert records(runtime, "Failed")[0]["attempts"] == 2


def test_what_an_overlap_lists_again_waits_for_its_own_retry(runtime, crm):
	name = max(crm.customers._rows, key=lambda key: crm.customers._rows[key]["updated_at"])
	break_one(crm, name)  # the latest: each run lists it
	for _ in range(2):
		run_stream(runtime, STREAM)
	for _ in range(3):
		row = run_stream(runtime, STREAM)
		assert (row["status"], row["failed"]) == ("Completed", 0)
	failed = records(runtime, "Failed")[0]
	assert failed["attempts"] == 2
	crm.customers._rows[name]["name"] = "Changed, at the same time"
	assert run_stream(runtime, STREAM)["failed"] == 1
	crm.customers._rows[name]["active"] = True
	assert run_stream(runtime, STREAM)["status"] == "Completed"
	assert table(runtime, "incremental") == source(crm)


def test_retries_go_in_the_order_of_source_times(runtime, crm, monkeypatch):
	names = [f"CUST-{number:06}" for number in (9, 3, 7, 5)]
	for place, name in enumerate(names):
		break_one(crm, name)
		crm.customers._rows[name]["updated_at"] = f"2026-01-0{place + 1}T00:00:00Z"
	run_stream(runtime, STREAM)
	row = run_stream(runtime, STREAM)
	assert row["failed"] == 4
	assert f"The first: {names[0]}" in row["error"]


def test_a_record_without_an_id_is_kept_with_its_payload(make_runtime, crm):
	runtime = make_runtime()
	crm.customers._rows["CUST-000003"]["id"] = None
	for _ in range(2):
		row = run_stream(runtime, "customers-full")
		assert (row["status"], row["failed"], row["deleted"]) == ("Partial", 1, 0)
		kept = records(runtime, "Unidentified")
		assert [json.loads(one["payload"])["name"] for one in kept] == [
			crm.customers._rows["CUST-000003"]["name"]
		]
		assert "the record has no id there" in kept[0]["error"]
	crm.customers._rows["CUST-000003"]["id"] = "CUST-000003"
	assert run_stream(runtime, "customers-full")["status"] == "Completed"
	assert records(runtime, "Unidentified") == []
	assert table(runtime, "full") == source(crm)


@pytest.mark.parametrize("kind", ["incremental"])
def test_a_kept_record_gets_its_id_when_the_settings_are_mended(make_runtime, crm, kind: str):
	crm.customers._rows["CUST-000003"]["key"] = {"id": "CUST-000003"}
	for row in crm.customers._rows.values():
		row["key"] = {"id": row["id"]}
	crm.customers._rows["CUST-000003"]["key"] = None
	head = 'endpoint = "/v1/customers/page"'
	runtime = make_runtime()
	runtime.db.execute("UPDATE `tabSync Settings` SET `id_path` = 'key.id'")
	run_stream(runtime, STREAM)
	assert len(records(runtime, "Unidentified")) == 1
	runtime.db.execute("UPDATE `tabSync Settings` SET `id_path` = 'id'")
	assert run_stream(runtime, STREAM)["status"] == "Completed", head
	assert records(runtime, "Unidentified") == []
	assert table(runtime, "incremental") == source(crm)
