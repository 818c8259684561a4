"""Full, incremental, cursor: the target ends equal to the source, whatever happened on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import approve_deletions, run_stream
from integration_hub.sync.schedule import close_silent_runs, due_streams
from tests.compare import errors, source, table

KINDS = ("full", "incremental", "cursor")


@pytest.mark.parametrize("kind", KINDS)
def test_target_equals_source_after_each_run(runtime, crm: Sandbox, kind: str):
	first = run_stream(runtime, f"customers-{kind}")
	assert (first["status"], first["created"]) == ("Completed", 250)
	assert table(runtime, kind) == source(crm)

	crm.change(create=5, update=40, delete=7)
	second = run_stream(runtime, f"customers-{kind}")
	assert (second["status"], second["created"], second["deleted"]) == ("Completed", 5, 7)
	assert table(runtime, kind) == source(crm)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_nothing_changed_writes_no_document(runtime, crm: Sandbox, kind: str):
	run_stream(runtime, f"customers-{kind}")
	before = runtime.db.query("SELECT `name`, `modified` FROM `tabSandbox Customer` ORDER BY `name`")
	again = run_stream(runtime, f"customers-{kind}")
	assert (again["created"], again["updated"], again["deleted"]) == (0, 0, 0)
	assert runtime.db.query("SELECT `name`, `modified` FROM `tabSandbox Customer` ORDER BY `name`") == before


@pytest.mark.parametrize("kind", KINDS)
def test_faults_on_the_way_are_overcome(runtime, crm: Sandbox, kind: str):
	crm.faults.set(following=["500", "reset", "truncate", "503"])
	row = run_stream(runtime, f"customers-{kind}")
	assert row["status"] == "Completed"
	assert sum(crm.faults.met.values()) == 4
	assert table(runtime, kind) == source(crm)


@pytest.mark.parametrize("style", ["page", "offset", "cursor", "next", "link"])
def test_every_pagination_of_the_sandbox_by_settings_alone(make_runtime, crm: Sandbox, style: str):
	pagination = {
		"page": 'pagination = "Page Number"',
		"offset": 'pagination = "Offset"',
		"cursor": 'pagination = "Cursor"',
		"next": 'pagination = "Next Link"',
		"link": 'pagination = "Link Header"',
	}[style]
	replacements = [
		('endpoint = "/v1/customers/page"', f'endpoint = "/v1/customers/{style}"'),
		('pagination = "Page Number"\nmore_path = "has_more"', pagination),
	]
	if style == "link":
		replacements.append(
			(
				'"/v1/customers/link"\nrecords_path = "data"',
				'"/v1/customers/link"\nrecords_path = ""',
			)
		)
	runtime = make_runtime(*replacements)
	row = run_stream(runtime, "customers-full")
	assert row["status"] == "Completed", row["error"]
	assert table(runtime, "full") == source(crm)


def test_a_killed_run_resumes_and_neither_loses_nor_doubles(make_runtime, crm: Sandbox):
	runtime = make_runtime()
	crm.latency = 0.05
	code = "import sys; from integration_hub.runtime.standalone import StandaloneRuntime; from integration_hub.sync.run import run_stream; run_stream(StandaloneRuntime(sys.argv[1]), 'customers-cursor')"
	process = subprocess.Popen([sys.executable, "-c", code, str(runtime.file.folder / "hub.toml")])
	deadline = time.monotonic() + 30
	while len(table(runtime, "cursor")) < 100 and time.monotonic() < deadline:
		time.sleep(0.01)
	os.kill(process.pid, signal.SIGKILL)
	process.wait()
	partly = len(table(runtime, "cursor"))
	assert 100 <= partly < 250
	crm.latency = 0

	row = run_stream(runtime, "customers-cursor")
	assert row["created"] == 250 - partly, "pages committed before the kill are not fetched again"
	assert table(runtime, "cursor") == source(crm)
	runs = runtime.db.query("SELECT `status` FROM `tabSync Log` ORDER BY `name`")
	assert [run["status"] for run in runs] == ["Interrupted", "Completed"]


def test_a_run_that_fell_silent_is_closed_and_its_stream_goes_on(runtime, crm: Sandbox):
	run_stream(runtime, "customers-cursor")
	for failures in (1, 2):
		runtime.db.execute(
			"UPDATE `tabSync Log` SET `status` = 'Running', `heartbeat_at` = %s", [runtime.now(ahead=-600)]
		)
		with runtime.lock("sync:customers-cursor"):
			assert close_silent_runs(runtime) == [], "who holds the lock is alive, however long a page takes"
		assert close_silent_runs(runtime) == ["customers-cursor"]
		[run] = runtime.db.query("SELECT `status` FROM `tabSync Log`")
		[stream] = runtime.db.query("SELECT * FROM `tabSync Settings` WHERE `name` = 'customers-cursor'")
		assert (run["status"], stream["consecutive_failures"]) == ("Interrupted", failures)
		assert ("customers-cursor" in due_streams(runtime)) is (failures == 1), "then it backs off"


def test_two_runs_of_one_stream_never_overlap(runtime):
	with runtime.lock("sync:customers-full") as free:
		assert free
		with pytest.raises(HubError, match="is running already"):
			run_stream(runtime, "customers-full")
	assert runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabSync Log`")[0]["n"] == 0


def test_an_empty_source_deletes_nothing(runtime, crm: Sandbox):
	run_stream(runtime, "customers-full")
	kept = table(runtime, "full")
	crm.customers.delete(250)
	row = run_stream(runtime, "customers-full")
	assert (row["status"], row["deleted"]) == ("Completed", 0)
	assert table(runtime, "full") == kept


def test_a_fetch_that_breaks_off_deletes_nothing(make_runtime, crm: Sandbox):
	runtime = make_runtime(("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	run_stream(runtime, "customers-full")
	crm.customers.delete(10)
	kept = len(table(runtime, "full"))
	crm.faults.set(following=["none", "500"])
	row = run_stream(runtime, "customers-full")
	assert (row["status"], row["deleted"], len(table(runtime, "full"))) == ("Failed", 0, kept)
	assert [error["kind"] for error in errors(runtime)] == ["Server"]


def test_a_large_deletion_waits_for_approval(runtime, crm: Sandbox):
	run_stream(runtime, "customers-full")
	crm.customers.delete(120)
	held = run_stream(runtime, "customers-full")
	assert (held["status"], held["deleted"], held["to_delete"]) == ("Needs Approval", 0, 120)
	assert len(table(runtime, "full")) == 250

	done = approve_deletions(runtime, held["name"])
	assert (done["status"], done["deleted"]) == ("Completed", 120)
	assert table(runtime, "full") == source(crm)
	with pytest.raises(HubError, match="no deletions waiting"):
		approve_deletions(runtime, held["name"])


def test_approval_spares_what_came_back_meanwhile(runtime, crm: Sandbox):
	run_stream(runtime, "customers-full")
	gone = crm.customers.delete(120)
	held = run_stream(runtime, "customers-full")
	back = crm.customers._deleted.pop(gone[0])
	crm.customers._rows[gone[0]] = {**back, "deleted": False}
	again = run_stream(runtime, "customers-full")
	with pytest.raises(HubError, match="no deletions waiting"):
		approve_deletions(runtime, held["name"])  # the later run holds what is still gone
	assert approve_deletions(runtime, again["name"])["deleted"] == 119
	assert table(runtime, "full") == source(crm)


def test_a_bad_record_is_kept_and_tried_again(runtime, crm: Sandbox):
	crm.customers.set("CUST-000003", credit_limit="a lot")
	row = run_stream(runtime, "customers-incremental")
	assert (row["status"], row["created"], row["failed"]) == ("Partial", 249, 1)
	[error] = errors(runtime)
	assert "credit_limit" in error["message"] and error["external_id"] == "CUST-000003"

	# The watermark has passed it, and it does not change again: only what was kept can bring it back.
	runtime.db.execute(
		"UPDATE `tabExternal Record` SET `payload` = REPLACE(`payload`, '\"a lot\"', '12.5') WHERE `status` = 'Failed'"
	)
	crm.customers._rows["CUST-000003"]["credit_limit"] = 12.5
	assert run_stream(runtime, "customers-incremental")["status"] == "Completed"
	assert table(runtime, "incremental") == source(crm)


def test_a_failed_record_is_not_an_orphan(runtime, crm: Sandbox):
	run_stream(runtime, "customers-full")
	crm.customers.set("CUST-000003", credit_limit="a lot")
	row = run_stream(runtime, "customers-full")
	assert (row["failed"], row["deleted"]) == (1, 0)
	assert len(table(runtime, "full")) == 250


def test_a_document_that_was_adopted_is_never_deleted(make_runtime, crm: Sandbox):
	runtime = make_runtime(
		(
			'target_doctype = "Sandbox Customer"\n',
			'target_doctype = "Sandbox Customer"\nmatch_field = "email"\n',
		)
	)
	mine = crm.customers.alive()[0]
	runtime.db.execute(
		"INSERT INTO `tabSandbox Customer` (`name`, `email`, `city`) VALUES ('mine', %s, 'Bonn')",
		[mine["email"]],
	)
	run_stream(runtime, "customers-full")
	assert len(table(runtime, "full")) == 250, "adopted, not doubled"
	crm.customers._rows.pop(mine["id"])
	run_stream(runtime, "customers-full")
	assert runtime.db.query("SELECT `name` FROM `tabSandbox Customer` WHERE `name` = 'mine'")


def test_a_document_that_somebody_deleted_comes_back(runtime, crm: Sandbox):
	run_stream(runtime, "customers-full")
	runtime.db.execute("DELETE FROM `tabSandbox Customer` WHERE `customer_id` = 'CUST-000009'")
	assert run_stream(runtime, "customers-full")["created"] == 1
	assert table(runtime, "full") == source(crm)


def test_ids_that_differ_in_case_or_spaces_are_different_records(runtime, crm: Sandbox):
	for id in ("cust-000001", "CUST-000001 ", "CUST-00000１"):
		crm.customers._rows[id] = {**crm.customers._rows["CUST-000001"], "id": id}
	run_stream(runtime, "customers-full")
	assert len(table(runtime, "full")) == 253


def test_the_watermark_comes_from_the_data(runtime, crm: Sandbox):
	run_stream(runtime, "customers-incremental")
	newest = max(row["updated_at"] for row in crm.customers.alive())
	[row] = runtime.db.query(
		"SELECT `checkpoint` FROM `tabSync Settings` WHERE `name` = 'customers-incremental'"
	)
	assert row["checkpoint"] == newest


def test_a_long_retry_after_gives_the_worker_back(make_runtime, crm: Sandbox):
	runtime = make_runtime(("backoff_min = 0.01", "backoff_min = 0.01\nmax_wait = 5"))
	crm.budget.limit, crm.budget.period = 1, 300
	row = run_stream(runtime, "customers-cursor")
	assert row["status"] == "Postponed"
	[stream] = runtime.db.query("SELECT * FROM `tabSync Settings` WHERE `name` = 'customers-cursor'")
	assert stream["status"] == "Waiting" and stream["checkpoint"], "the page that arrived is kept"
	assert stream["next_run_at"] > runtime.now(ahead=200)
	assert "customers-cursor" not in due_streams(runtime)


def test_a_rate_limit_is_waited_out(make_runtime, crm: Sandbox):
	runtime = make_runtime()
	crm.budget.limit, crm.budget.period = 2, 1
	row = run_stream(runtime, "customers-full")
	assert row["status"] == "Completed" and crm.budget.refused
	assert table(runtime, "full") == source(crm)


@pytest.mark.parametrize(
	("old", "new", "message"),
	[
		(
			'target_doctype = "Sandbox Customer"\n',
			'target_doctype = "Nothing"\n',
			"DocType Nothing does not exist",
		),
		('city = "city"', 'town = "city"', "has no field 'town'"),
		('records_path = "data"', 'records_path = "data["', "records_path"),
		('mode = "Full"', 'mode = "Sometimes"', "mode"),
		('integration = "crm"', 'integration = "erp"', "integration 'erp' does not exist"),
		('client_secret = "env:CRM_CLIENT_SECRET"', 'client_secret = "hunter2"', "client_secret"),
		('base_url = "', 'base_url = "ftp://', "base_url"),
		('event_pattern = "customer.*"', 'event_patern = "customer.*"', "event_patern"),
	],
)
def test_wrong_settings_are_refused_by_name(make_runtime, old: str, new: str, message: str):
	with pytest.raises(HubError, match="hub.toml") as caught:
		make_runtime((old, new))
	assert message in str(caught.value)
	assert "hunter2" not in str(caught.value)


def test_unreachable_system_and_wrong_credentials_are_told_plainly(make_runtime, crm: Sandbox, monkeypatch):
	runtime = make_runtime(("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	monkeypatch.setenv("CRM_CLIENT_SECRET", "wrong-secret")
	row = run_stream(runtime, "customers-full")
	assert row["status"] == "Failed" and "Authentication failed" in row["error"]
	assert "wrong-secret" not in str(errors(runtime))
	runtime.connector("crm").reset()  # a refusal is remembered for a while
	monkeypatch.setenv("CRM_CLIENT_SECRET", CLIENT_SECRET)
	crm.stop()
	row = run_stream(runtime, "customers-full")
	assert row["status"] == "Failed" and "Connection failed" in row["error"]
	assert len(errors(runtime)) == 2


def test_the_same_failure_counts_up_one_row(make_runtime, crm: Sandbox):
	runtime = make_runtime(("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	for _ in range(3):
		crm.faults.set(following=["500"])
		run_stream(runtime, "customers-full")
	[error] = errors(runtime)
	assert error["occurrences"] == 3


def test_a_failing_stream_backs_off(make_runtime, crm: Sandbox):
	runtime = make_runtime(("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	due = []
	for _ in range(3):
		crm.faults.set(following=["500"])
		run_stream(runtime, "customers-cursor")
		due += runtime.db.query(
			"SELECT `next_run_at` FROM `tabSync Settings` WHERE `name` = 'customers-cursor'"
		)
	assert due[2]["next_run_at"] > runtime.now(ahead=15 * 60) > due[0]["next_run_at"]


def test_records_without_an_id_leave_every_document_where_it_is(runtime, crm: Sandbox):
	run_stream(runtime, "customers-full")
	crm.customers.delete(200)
	for row in crm.customers._rows.values():
		row["uid"] = row.pop("id")
	row = run_stream(runtime, "customers-full")
	assert (row["status"], row["failed"], row["deleted"], row["to_delete"]) == ("Failed", 50, 0, 0)
	assert len(table(runtime, "full")) == 250


@pytest.mark.parametrize("style", ["page", "offset", "next"])
def test_a_record_that_slips_between_two_pages_is_not_taken_for_gone(make_runtime, crm: Sandbox, style: str):
	kind = {"page": "Page Number", "offset": "Offset", "next": "Next Link"}[style]
	runtime = make_runtime(
		('endpoint = "/v1/customers/page"', f'endpoint = "/v1/customers/{style}"'),
		('pagination = "Page Number"\nmore_path = "has_more"', f'pagination = "{kind}"'),
	)
	run_stream(runtime, "customers-full")
	draw, calls = crm.faults.draw, []

	def delete_behind_the_first_page():
		calls.append(1)
		if len(calls) == 2:
			crm.customers._rows.pop("CUST-000005")
		return draw()

	crm.faults.draw = delete_behind_the_first_page
	names = {row["name"] for row in runtime.db.query("SELECT `name` FROM `tabSandbox Customer`")}
	assert run_stream(runtime, "customers-full")["status"] == "Completed"
	assert {row["name"] for row in runtime.db.query("SELECT `name` FROM `tabSandbox Customer`")} == names
	crm.faults.draw = draw
	assert run_stream(runtime, "customers-full")["deleted"] == 1
	assert table(runtime, "full") == source(crm)


def test_two_records_with_one_match_value_stay_two_documents(make_runtime, crm: Sandbox):
	target = 'target_doctype = "Sandbox Customer"\n'
	runtime = make_runtime((target, f'{target}match_field = "email"\n'))
	crm.customers._rows["CUST-000200"]["email"] = crm.customers._rows["CUST-000001"]["email"]
	run_stream(runtime, "customers-full")
	assert table(runtime, "full") == source(crm)


@pytest.mark.parametrize(
	("field", "value", "word"),
	[
		("name", "Ada \ud83d", "customer_name: holds characters that cannot be stored"),
		("id", "x" * 600, "600 characters"),
		("city", None, "join"),
	],
)
def test_one_odd_record_does_not_stop_its_stream(make_runtime, crm: Sandbox, field: str, value, word: str):
	runtime = (
		make_runtime(('email = "email"', """email = "join(' ', [email, city])" """))
		if field == "city"
		else make_runtime()
	)
	crm.customers._rows["CUST-000003"][field] = value
	row = run_stream(runtime, "customers-full")
	assert (row["status"], row["failed"], row["created"]) == ("Partial", 1, 249)
	assert any(word in error["message"] for error in errors(runtime))
	assert run_stream(runtime, "customers-full")["unchanged"] == 249


def test_a_full_run_behind_a_small_quota_goes_on_where_it_was_put_off(make_runtime, crm: Sandbox):
	runtime = make_runtime(
		("backoff_min = 0.01", "backoff_min = 0.01\nmax_wait = 1"),
		('pagination = "Page Number"', 'page_size = 50\npagination = "Page Number"'),
	)
	run_stream(runtime, "customers-full")
	crm.change(create=3, update=100, delete=4)
	crm.budget.limit, crm.budget.period = 2, 3
	runs = []
	for _ in range(20):
		runs.append(run_stream(runtime, "customers-full"))
		if runs[-1]["status"] == "Completed":
			break
		time.sleep(3)
	assert runs[0]["status"] == "Postponed" and runs[-1]["status"] == "Completed"
	crm.budget.limit = 0
	time.sleep(3)
	assert run_stream(runtime, "customers-full")["status"] == "Completed"
	assert table(runtime, "full") == source(crm)
	assert sum(run["fetched"] for run in runs) < 350, "pages were not fetched again and again"


def test_a_record_from_the_future_makes_no_watermark(runtime, crm: Sandbox):
	crm.customers._rows["CUST-000003"]["updated_at"] = "2206-01-01T00:00:00Z"
	run_stream(runtime, "customers-incremental")
	[stream] = runtime.db.query(
		"SELECT `checkpoint` FROM `tabSync Settings` WHERE `name` = 'customers-incremental'"
	)
	assert stream["checkpoint"].startswith("2026-01-01")
	assert any("more than a day in the future" in error["message"] for error in errors(runtime))


def test_zero_times_make_a_watermark_that_can_be_read(runtime, crm: Sandbox):
	for row in crm.customers._rows.values():
		row["updated_at"] = "0001-01-01T00:00:00Z"
	run_stream(runtime, "customers-incremental")
	assert run_stream(runtime, "customers-incremental")["status"] == "Completed"


def test_what_is_no_longer_in_hub_toml_no_longer_holds(make_runtime, crm: Sandbox):
	runtime = make_runtime(
		('deletion_policy = "Delete"', 'deletion_policy = "Delete"\nmatch_field = "email"')
	)
	run_stream(runtime, "customers-cursor")
	runtime = make_runtime()
	rows = runtime.db.query(
		"SELECT `match_field`, `checkpoint` FROM `tabSync Settings` WHERE `name` = 'customers-cursor'"
	)
	assert rows[0]["match_field"] is None and rows[0]["checkpoint"]
	runtime = make_runtime(('endpoint = "/v1/changes"', 'endpoint = "/v1/other"'))
	[stream] = runtime.db.query(
		"SELECT `checkpoint` FROM `tabSync Settings` WHERE `name` = 'customers-cursor'"
	)
	assert stream["checkpoint"] is None, "a cursor means something only to its own source"


def test_an_approval_that_was_killed_can_be_given_again(runtime, crm: Sandbox, monkeypatch):
	run_stream(runtime, "customers-full")
	crm.customers.delete(220)
	held = run_stream(runtime, "customers-full")
	from integration_hub.sync import deletion

	def killed(*args, calls=[]):  # noqa: B006
		calls.append(1)
		if len(calls) == 2:
			raise KeyboardInterrupt
		return original(*args)

	original = deletion._remove_batch
	monkeypatch.setattr(deletion, "_remove_batch", killed)
	with pytest.raises(KeyboardInterrupt):
		approve_deletions(runtime, held["name"])
	monkeypatch.setattr(deletion, "_remove_batch", original)
	assert 30 < len(table(runtime, "full")) < 250
	approve_deletions(runtime, held["name"])
	assert table(runtime, "full") == source(crm)


def test_a_run_whose_secrets_are_missing_ends_as_failed(runtime, monkeypatch):
	monkeypatch.delenv("CRM_WEBHOOK_SECRET")
	row = run_stream(runtime, "customers-full")
	assert row["status"] == "Failed" and "CRM_WEBHOOK_SECRET is not set" in row["error"]


def test_a_unique_value_is_never_taken_from_another_document(runtime, crm: Sandbox):
	runtime.db.execute("CREATE UNIQUE INDEX `email` ON `tabSandbox Customer` (`email`)")
	runtime.db.execute(
		"INSERT INTO `tabSandbox Customer` (`name`, `email`) VALUES ('mine', 'customer7@example.com')"
	)
	row = run_stream(runtime, "customers-full")
	assert (row["failed"], row["created"]) == (1, 249)
	assert runtime.db.query("SELECT `customer_id` FROM `tabSandbox Customer` WHERE `name` = 'mine'") == [
		{"customer_id": None}
	]


def test_a_missing_number_is_zero_as_in_a_document(runtime, crm: Sandbox):
	crm.customers._rows["CUST-000003"]["credit_limit"] = None
	assert run_stream(runtime, "customers-full")["failed"] == 0
	assert table(runtime, "full")[2]["credit_limit"] == 0


def test_a_setting_can_be_emptied(make_runtime):
	runtime = make_runtime(('event_id_path = "id"', 'event_id_path = ""'))
	assert runtime.integration("crm").event_id_path == ""
