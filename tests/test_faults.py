"""One fault is one failure: of a stream, an integration, a chore; and no other one is stopped by it."""

from __future__ import annotations

import json
import threading
import time
from asyncio import CancelledError
from contextlib import suppress

import pytest

from integration_hub.connectors.app_code import ExitAttempted
from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.connectors.rest import OAuth2RestConnector, RestConnector
from integration_hub.connectors.setting_ranges import RANGES
from integration_hub.runtime import monitors, status, worker
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.worker import work, work_once
from integration_hub.sandbox import sender
from integration_hub.stores import inbox, retention
from integration_hub.stores.database import update
from integration_hub.stores.doctype_tables import INTEGER, doctypes
from integration_hub.stores.runtime import HubError
from integration_hub.sync import schedule
from integration_hub.sync.config import StreamConfig
from integration_hub.sync.dry_runs import dry_run, preview
from integration_hub.sync.run import run_stream
from integration_hub.webhooks.endpoint import endpoint_of
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from tests.compare import source, table

HUGE = 999_999_999_999
NUMBERS = INTEGER | {"Float", "Percent", "Duration", "Currency"}


def settings_numbers() -> set[tuple[str, str]]:
	found = set()
	for doctype in ("Integration Settings", "Sync Settings"):
		for field in doctypes()[doctype]["fields"]:
			number = field["fieldtype"] in NUMBERS - {"Check"} and not field.get("read_only")
			found |= {(doctype, field["fieldname"])} if number else set()
	return found


def test_each_number_of_the_settings_has_a_least_and_a_largest_value_that_its_default_keeps():
	numbers = settings_numbers()
	assert {field for _, field in numbers} == RANGES.keys()
	for doctype, name in numbers:
		field = next(f for f in doctypes()[doctype]["fields"] if f["fieldname"] == name)
		least, largest = RANGES[name]
		assert least <= float(field.get("default") or 0) <= largest
		assert largest < 2**31, "what an Int holds on every database"


@pytest.mark.parametrize("value", [-1, HUGE, 10**400, float("inf"), float("nan")])
@pytest.mark.parametrize(("doctype", "field"), sorted(settings_numbers()))
def test_numbers_out_of_range_are_refused_by_name_when_settings_are_saved(
	make_runtime, doctype, field, value
):
	section = {"Integration Settings": "[integration.crm]\n", "Sync Settings": "[stream.customers-full]\n"}
	text = str(value) if isinstance(value, int) else f"{value}"
	runtime = make_runtime()
	toml = (runtime.file.folder / "hub.toml").read_text()
	kept = "\n".join(line for line in toml.splitlines() if not line.startswith(f"{field} "))
	(runtime.file.folder / "hub.toml").write_text(
		kept.replace(section[doctype], f"{section[doctype]}{field} = {text}\n")
	)
	with pytest.raises(HubError) as caught:
		StandaloneRuntime(runtime.file.folder / "hub.toml")
	assert field in f"{caught.value.field} {caught.value}"


@pytest.mark.parametrize(
	"cron",
	[
		"0 0 30 2 *",
		"0 0 31 2,4,6 *",
		"0 0 30 2 * 5",
		"0 0 1 1 * 0 2020",
		"*/1," * 9999 + "1",
		"",
		"\x1b",
		"x",
	],
)
def test_a_cron_expression_that_never_comes_due_is_refused(make_runtime, cron):
	with pytest.raises(HubError, match="cron"):
		make_runtime(
			(
				"[stream.customers-full]",
				f'[stream.customers-full]\nschedule = "Cron"\ncron = {json.dumps(cron)}',
			)
		)


ROTTEN = [
	{"schedule": "Cron", "cron": "0 0 30 2 *"},
	{"schedule": "Cron", "cron": "no cron"},
	{"schedule": "Cron", "cron": None},
	{"schedule": "Interval", "interval_minutes": HUGE},
	{"schedule": "Interval", "interval_minutes": -5},
	{"schedule": "Interval", "interval_minutes": 0},
	{"schedule": "Whenever"},
	{"mode": "Sometimes"},
	{"page_size": "many"},
	{"page_size": HUGE},
	{"overlap_seconds": 10**18},
	{"lanes": 10**9},
	{"integration": "gone"},
]


@pytest.mark.parametrize("rotten", ROTTEN)
def test_a_stream_whose_row_is_rotten_stops_no_other(runtime, rotten):
	"""It was saved before it was checked, or past the checks."""
	update(runtime.db, "Sync Settings", "customers-full", rotten)
	for _ in range(2):
		done = work_once(runtime)
		due(runtime, "customers-incremental")
	assert done.runs >= 1 and stream(runtime, "customers-incremental")["status"] == "OK"
	if stream(runtime, "customers-full")["last_run_at"] is None and "gone" not in str(rotten):
		assert stream(runtime, "customers-full")["next_run_at"] > runtime.now(), (
			"it does not come back each second"
		)
		assert [row for row in errors(runtime) if row["stream"] == "customers-full"]


@pytest.mark.parametrize("rotten", ROTTEN)
def test_the_run_of_a_rotten_stream_that_was_killed_is_closed(runtime, rotten):
	update(runtime.db, "Sync Settings", "customers-full", {"last_run_at": None})
	work_once(runtime)
	runtime.db.execute("UPDATE `tabSync Log` SET `status` = 'Running', `heartbeat_at` = '2020-01-01'")
	update(runtime.db, "Sync Settings", "customers-full", {**rotten, "consecutive_failures": 3})
	schedule.close_silent_runs(runtime)
	rows = runtime.db.query("SELECT `status` FROM `tabSync Log`")
	assert {row["status"] for row in rows} == {"Interrupted"}


def test_failures_in_a_row_without_end_are_only_a_number():
	stream = StreamConfig("x", schedule="Interval", interval_minutes=10)
	assert schedule.next_run(stream, "2026-01-01 00:00:00", 10**9) == "2026-01-01 02:00:00.000000"
	once = StreamConfig("x", schedule="Cron", cron="0 0 1 1 * 0 2027")
	assert schedule.next_run(once, "2026-01-01 00:00:00", 9)[:10] == "2027-01-01"


def due(runtime, name: str) -> None:
	update(runtime.db, "Sync Settings", name, {"next_run_at": "2020-01-01 00:00:00.000000"})


def stream(runtime, name: str) -> dict:
	return runtime.db.query("SELECT * FROM `tabSync Settings` WHERE `name` = %s", [name])[0]


def errors(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabIntegration Error Log` ORDER BY `name`")


SECOND = """
[integration.other]
base_url = "{url}"
auth_type = "Bearer"
secret = "{reference}"
webhook_enabled = true
webhook_secret = "env:CRM_WEBHOOK_SECRET"

[[integration.other.routes]]
event_pattern = "*"
action = "Start Sync"
stream = "broken"

[stream.broken]
enabled = true
integration = "other"
endpoint = "/api/customers"
target_doctype = "Customer"
mode = "Full"

[stream.broken.mapping]
customer_name = "name"
"""


@pytest.fixture
def two(make_runtime, crm, monkeypatch, tmp_path):
	"""Return a runtime with a second integration, given the reference of its secret."""
	monkeypatch.setenv("OTHER_SECRET", "s3cret-of-the-other")

	def make(reference: str) -> StandaloneRuntime:
		runtime = make_runtime()
		text = (tmp_path / "hub.toml").read_text()
		target = next(iter(runtime.file.tables))
		added = SECOND.format(url=crm.url, reference=reference).replace('"Customer"', f'"{target}"')
		field = next(iter(runtime.file.tables[target]))
		(tmp_path / "hub.toml").write_text(text + added.replace("customer_name", field))
		return StandaloneRuntime(tmp_path / "hub.toml")

	return make


def break_secret(reference: str, monkeypatch, tmp_path) -> None:
	monkeypatch.delenv("OTHER_SECRET", raising=False)
	if reference == "file:binary":
		(tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
	if reference == "file:folder":
		(tmp_path / "folder").mkdir(exist_ok=True)


@pytest.mark.parametrize(
	"reference", ["env:OTHER_SECRET", "file:missing", "file:binary", "file:folder", "file:a\\u0000b"]
)
def test_an_integration_whose_secret_cannot_be_read_fails_alone_and_says_why(
	two, monkeypatch, tmp_path, reference
):
	runtime = two(reference)
	break_secret(reference, monkeypatch, tmp_path)
	for integration, id in (("other", "o1"), ("crm", "c1")):
		body = json.dumps({"id": id, "event": "nothing"}).encode()
		event = inbox.Event(integration, id, "nothing", body.decode(), id, "HTTP")
		inbox.store(runtime, [event])
	done = work_once(runtime)
	assert done.runs >= 3, "the streams of the other integration"
	states = {row["event_id"]: row["status"] for row in runtime.db.query("SELECT * FROM `tabWebhook Log`")}
	assert states["o1"] == "Queued" and states["c1"] != "Queued"
	shown = "\n".join(status.lines(runtime))
	reason = "is not set" if reference.startswith("env") else "cannot be read"
	assert reason in shown and "[integration.other]" in shown
	assert stream(runtime, "broken")["status"] == "Failing"
	[row] = runtime.db.query("SELECT * FROM `tabIntegration Settings` WHERE `name` = 'other'")
	assert reason in row["last_error"]
	runtime.close()


def test_an_integration_with_rotten_numbers_fails_alone(runtime):
	update(runtime.db, "Integration Settings", "crm", {"connect_timeout": 10**12, "keep_dead_days": 10**9})
	work_once(runtime)
	assert {row["kind"] for row in errors(runtime)} == {"Configuration"}
	assert "connect_timeout" in errors(runtime)[0]["message"]


def test_settings_that_cannot_be_read_are_no_unknown_integration(runtime):
	update(runtime.db, "Integration Settings", "crm", {"max_attempts": "many"})
	body = b'{"id": "1", "event": "x"}'
	request = Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body)
	assert receive(runtime, request).status == 503, "the sender repeats it when they are mended"


@pytest.mark.parametrize("days", [HUGE, 10**18, -1, None, "many"])
def test_rows_are_cleared_of_the_others_whatever_one_integration_says(runtime, days):
	with suppress(Exception):
		update(runtime.db, "Integration Settings", "crm", {"keep_dead_days": days, "keep_payload_days": days})
	runtime.db.execute("INSERT INTO `tabIntegration Settings` (`name`, `keep_dead_days`) VALUES ('zzz', 10)")
	for integration in ("crm", "zzz"):
		runtime.db.execute(
			"INSERT INTO `tabWebhook Log` (`name`, `event_key`, `integration`, `status`, `modified`)"
			" VALUES (%s, %s, %s, 'Dead', '2020-01-01')",
			[integration, integration, integration],
		)
	retention.clear_logs(runtime, worker.chore_guard(runtime))
	assert [row["name"] for row in runtime.db.query("SELECT `name` FROM `tabWebhook Log`")] in ([], ["crm"])


@pytest.mark.parametrize(
	"ahead", [1e9, -1e9, 1e12, -1e12, 1e300, -1e300, float("inf"), float("-inf"), float("nan")]
)
def test_no_time_is_beyond_the_calendar(runtime, ahead):
	assert "1000-01-01" < runtime.now(ahead=ahead) < "9999-12-31"


@pytest.mark.parametrize("chore", ["sweep", "close_silent_runs", "due_streams", "drain", "clear_logs"])
def test_a_chore_that_fails_stops_no_other(runtime, monkeypatch, chore):
	tried: list[str] = []

	def fails(*_, **__):
		tried.append(chore)
		raise ZeroDivisionError(f"{chore} is broken")

	body = b'{"id": "1", "event": "customer.changed"}'
	receive(runtime, Request("crm", "POST", {sender.HEADER.lower(): sender.sign(body)}, body))
	monkeypatch.setattr(
		worker if chore != "clear_logs" else retention, chore if chore != "clear_logs" else "_delete", fails
	)
	stop = threading.Event()

	def until() -> None:
		deadline = time.monotonic() + 30
		while not tried and time.monotonic() < deadline:
			time.sleep(0.05)
		time.sleep(0.5)
		stop.set()

	thread = threading.Thread(target=until)
	thread.start()
	work(runtime, stop, lambda done: None)
	thread.join()
	if chore != "due_streams":
		assert stream(runtime, "customers-full")["status"] == "OK"
	if chore not in ("sweep", "drain"):
		assert {row["status"] for row in runtime.db.query("SELECT `status` FROM `tabWebhook Log`")} != {
			"Queued"
		}
	assert any("is broken" in row["message"] for row in errors(runtime))


def test_what_keeps_failing_is_tried_less_and_less_while_others_go_on(runtime, monkeypatch):
	tried: list[int] = []

	def fails(*_):
		tried.append(1)
		raise ZeroDivisionError

	monkeypatch.setattr(worker, "sweep", fails)
	monkeypatch.setattr(worker, "_PAUSE", 0.01)
	stop = threading.Event()
	threading.Timer(1.5, stop.set).start()
	work(runtime, stop, lambda done: None)
	assert 1 <= len(tried) <= 3


def test_a_watch_that_cannot_look_at_one_kind_tells_of_the_others_and_resolves_nothing_of_it(
	runtime, monkeypatch
):
	update(runtime.db, "Sync Settings", "customers-full", {"consecutive_failures": 9, "alert_after": 3})
	assert len(monitors.check_problems(runtime)) == 1

	def broken(_):
		raise ZeroDivisionError("broken")
		yield

	monkeypatch.setitem(monitors._KINDS, monitors.FAILING, broken)
	runtime.db.execute(
		"INSERT INTO `tabWebhook Log` (`name`, `event_key`, `integration`, `status`, `modified`)"
		" VALUES ('1', '1', 'crm', 'Dead', '2020-01-01')"
	)
	assert len(monitors.check_problems(runtime)) == 1
	kept = {row["kind"]: row["status"] for row in errors(runtime) if row["operation"] == monitors.OPERATION}
	assert kept == {monitors.FAILING: "Open", monitors.DEAD: "Open"}


def test_problems_of_numbers_are_said_by_field():
	config = IntegrationConfig("x", base_url="https://example.com", keep_dead_days=999_999_999)
	assert ("keep_dead_days", "must be from 0 to 36500") in integration_problems(config, {})


LEAVING = [SystemExit(3), GeneratorExit(), CancelledError()]


def leave(error: BaseException):
	def left(*args, **options):
		raise error

	return left


def leave_amid(error: BaseException):
	pages = RestConnector.pages

	def some(self, request):
		for number, page in enumerate(pages(self, request)):
			if number:
				raise error
			yield page

	return some


@pytest.mark.parametrize("error", LEAVING, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
	("method", "how"),
	[("pages", leave), ("pages", leave_amid), ("__init__", leave), ("authenticate", leave), ("close", leave)],
)
def test_a_connector_that_wants_to_end_the_process_is_its_streams_failure(
	runtime, crm, monkeypatch, error, method, how
):
	with monkeypatch.context() as patch:
		patch.setattr(OAuth2RestConnector, method, how(error))
		assert work_once(runtime).runs == 3
		logs = runtime.db.query("SELECT `status`, `error` FROM `tabSync Log`")
		assert {row["status"] for row in logs} == {"Failed"}
		assert all(type(error).__name__ in row["error"] for row in logs)
		for look in (dry_run, *(() if how is leave_amid else (preview,))):  # which looks at one page
			with pytest.raises(ExitAttempted, match=type(error).__name__):
				look(runtime, "customers-full")
	assert run_stream(runtime, "customers-full")["status"] == "Completed"
	assert table(runtime, "full") == source(crm)


def test_ctrl_c_still_ends_the_process(runtime, monkeypatch):
	monkeypatch.setattr(OAuth2RestConnector, "pages", leave(KeyboardInterrupt()))
	with pytest.raises(KeyboardInterrupt):
		work_once(runtime)


@pytest.mark.parametrize("error", LEAVING, ids=lambda error: type(error).__name__)
def test_a_scheme_that_wants_to_end_the_process_is_answered_for(runtime, monkeypatch, error):
	from integration_hub.webhooks.schemes.base import Scheme

	monkeypatch.setattr(type(endpoint_of(runtime, "crm").scheme), "verify", leave(error))
	assert issubclass(type(endpoint_of(runtime, "crm").scheme), Scheme)
	answer = receive(runtime, Request("crm", "POST", {}, b"{}"))
	assert (answer.status, answer.reason) == (503, "not_stored")


@pytest.mark.parametrize("error", LEAVING, ids=lambda error: type(error).__name__)
def test_a_connector_that_leaves_while_a_deletion_is_confirmed_is_that_events_failure(
	make_runtime, monkeypatch, error
):
	runtime = make_runtime(
		("[stream.customers-full]", '[stream.customers-full]\nrecord_endpoint = "/v1/customers/{id}"'),
		('event_type_path = "event"', 'event_type_header = "X-Event"'),
	)
	body = json.dumps({"id": "e1", "data": {"id": "CUST-000001"}}).encode()
	headers = {sender.HEADER.lower(): sender.sign(body), "x-event": "customer.deleted"}
	assert receive(runtime, Request("crm", "POST", headers, body)).status == 200
	monkeypatch.setattr(OAuth2RestConnector, "request", leave(error))
	update(runtime.db, "Sync Settings", "customers-full", {"next_run_at": None})
	work_once(runtime)
	[row] = runtime.db.query("SELECT `status`, `error` FROM `tabWebhook Log`")
	assert row["status"] == "Failed" and type(error).__name__ in row["error"], row
