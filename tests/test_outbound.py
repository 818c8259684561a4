"""A change of a row reaches the external system: outbox, delivery, request, settle; over real HTTP."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator

import pytest
import standardwebhooks
from click.testing import CliRunner

from integration_hub.commands import integration_hub as cli
from integration_hub.outbound import transports
from integration_hub.outbound.config import load_outbound
from integration_hub.outbound.dispatch import MAX_ATTEMPTS, dispatch, retry_delay, sweep
from integration_hub.outbound.scan import plan, scan, send_all
from integration_hub.queues.consumer import consumer_for
from integration_hub.runtime import monitors
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.standalone.outbox_triggers import quiet
from integration_hub.runtime.worker import work_once
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from integration_hub.stores import deliveries, outbox
from integration_hub.stores.ids import new_id
from tests.conftest import OpenHub

HUB = """
[hub]
allowed_hosts = ["127.0.0.1:*"]
[integration.crm]
base_url = "%s"
auth_type = "Bearer"
secret = "env:CRM_SECRET"
backoff_min = 0.01
breaker_threshold = 0
[stream.people]
integration = "crm"
direction = "Out"
enabled = true
endpoint = "/v1/received/people"
target_doctype = "Person"
%s
[stream.people.mapping]
full_name = "name"
email = "email"
city = "address.city"
[table.Person]
full_name = "Data"
email = "Data"
city = "Data"
vip = "Check"
"""
LOOKUP = """
lookup_path = "/v1/received/people?email={payload.email}"
lookup_records_path = "data"
lookup_match = "email"
"""
KEYS = "idempotency_keys = true"
Make = Callable[..., StandaloneRuntime]


@pytest.fixture
def crm() -> Iterator[Sandbox]:
	with Sandbox(customers=0) as sandbox:
		yield sandbox


@pytest.fixture
def make(open_hub: OpenHub, crm: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Make:
	monkeypatch.setenv("CRM_SECRET", API_KEY)

	def hub(settings: str = LOOKUP, **replaced: str) -> StandaloneRuntime:
		text = HUB % (crm.url, settings)
		for old, new in replaced.items():
			text = text.replace(old, new)
		return open_hub(text)

	return hub


def save(hub: StandaloneRuntime, name: str, **values: object) -> None:
	"""Write a row as any program would."""
	row = {"full_name": name.title(), "email": f"{name}@example.com", "city": "Pune", **values}
	columns = ", ".join(f"`{column}`" for column in row)
	sets = ", ".join(f"`{column}` = excluded.`{column}`" for column in row)
	marks = ", ".join(["%s"] * (len(row) + 2))
	hub.db.execute(
		f"INSERT INTO `tabPerson` (`name`, `modified`, {columns}) VALUES ({marks}) ON CONFLICT (`name`) DO UPDATE SET {sets}, `modified` = excluded.`modified`",
		[name, hub.now(), *row.values()],
	)


def send(hub: StandaloneRuntime, times: int = 1) -> None:
	"""Do what a worker does, and have what waits for its time be due."""
	for _ in range(times):
		hub.db.execute("UPDATE `tabDelivery Log` SET `next_attempt_at` = %s", [hub.now()])
		for integration in sweep(hub):
			dispatch(hub, integration)


def states(hub: StandaloneRuntime) -> list[tuple[str, str]]:
	rows = hub.db.query("SELECT * FROM `tabDelivery Log` ORDER BY `creation`, `name`")
	return [(row["document"], row["status"]) for row in rows]


def system(crm: Sandbox) -> dict[str, dict]:
	return {one["email"]: one for one in crm.receive("people").all().values()}


def errors_of(hub: StandaloneRuntime) -> list[str]:
	return [
		row["error"]
		for row in hub.db.query("SELECT `error` FROM `tabDelivery Log` WHERE `error` IS NOT NULL")
	]


def test_a_row_is_created_updated_and_left_alone(make, crm):
	hub = make()
	save(hub, "ada")
	send(hub)
	assert states(hub) == [("ada", "Delivered")], errors_of(hub)
	assert system(crm) == {
		"ada@example.com": {"name": "Ada", "email": "ada@example.com", "address": {"city": "Pune"}}
	}
	save(hub, "ada", city="Nairobi")
	save(hub, "ada", city="Zürich")
	work_once(hub)
	assert system(crm)["ada@example.com"]["address"] == {"city": "Zürich"}
	assert vars(crm.receive("people").counts) | {"repeated": 0} == {
		"created": 1, "updated": 1, "deleted": 0, "repeated": 0, "refused": 0, "messages": 0,
	}  # fmt: skip
	save(hub, "ada", city="Zürich")
	send(hub)
	assert [state for _, state in states(hub)] == ["Delivered", "Delivered", "Unchanged"]
	assert outbox.count(hub) == 0
	[row] = deliveries.load(hub, [deliveries.select(hub)[0]])
	assert row["external_id"] == "PEO-000001" and row["http_status"] == 201 and '"Ada"' in row["request"]
	assert API_KEY not in str(hub.db.query("SELECT * FROM `tabDelivery Log`"))


def test_what_is_rolled_back_is_not_sent(make, crm):
	hub = make()
	with pytest.raises(RuntimeError), hub.db.transaction():
		save(hub, "ada")
		raise RuntimeError
	with hub.db.transaction():
		save(hub, "grace")
		with pytest.raises(RuntimeError), hub.db.savepoint():
			save(hub, "linus")
			raise RuntimeError
	send(hub)
	assert list(system(crm)) == ["grace@example.com"]


@pytest.mark.parametrize("fault", ["500", "503", "reset", "truncate", "garbage", "500 after", "reset after"])
@pytest.mark.parametrize("settings", [LOOKUP, KEYS, LOOKUP + KEYS])
def test_a_create_has_one_effect_whatever_becomes_of_its_answer(make, crm, fault, settings):
	hub = make(settings)
	save(hub, "ada")
	looks = ["none"] if "lookup" in settings else []
	crm.faults.set(following=[*looks, fault, fault])
	send(hub)
	save(hub, "ada", city="Kyōto")  # meanwhile it is another one
	send(hub, 4)
	assert system(crm)["ada@example.com"]["address"] == {"city": "Kyōto"}, errors_of(hub)
	assert crm.receive("people").counts.created == 1
	assert not [row for row in hub.db.query("SELECT * FROM `tabDelivery Log`") if row["open_key"]]


def test_a_worker_that_dies_between_request_and_answer_leaves_nothing_double(make, crm, monkeypatch):
	hub = make()
	save(hub, "ada")
	from integration_hub.outbound.deliver import Delivering

	with monkeypatch.context() as patch:
		patch.setattr(Delivering, "_create", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
		with pytest.raises(KeyboardInterrupt):
			send(hub)
	assert states(hub) == [("ada", "Sending")] and crm.receive("people").counts.created == 1
	send(hub, 2)
	assert states(hub) == [("ada", "Delivered")] and crm.receive("people").counts.created == 1


@pytest.mark.parametrize(
	("kind", "settings"),
	[
		("look up", LOOKUP),
		*((kind, settings) for kind in ("create", "update") for settings in ("", LOOKUP, KEYS)),
	],
)
def test_a_document_that_is_renamed_while_its_request_is_under_way_keeps_its_record(
	make, crm, monkeypatch, kind, settings
):
	hub = make(settings)
	save(hub, "ada")
	if kind == "update":
		send(hub)
		save(hub, "ada", city="Nairobi")
	send_http = transports.send_http

	def rename_meanwhile(stream, connector, step):
		response = send_http(stream, connector, step)
		if step.kind == kind:
			hub.db.execute("UPDATE `tabPerson` SET `name` = 'lovelace' WHERE `name` = 'ada'")
		return response

	with monkeypatch.context() as patch:
		patch.setattr(transports, "send_http", rename_meanwhile)
		send(hub)
	save(hub, "lovelace", full_name="Ada", email="ada@example.com", city="Kyōto")
	send(hub, 3)
	assert crm.receive("people").counts.created == 1, states(hub)
	assert system(crm)["ada@example.com"]["address"] == {"city": "Kyōto"}, (states(hub), errors_of(hub))


def test_what_is_refused_is_kept_and_sent_when_it_changes(make, crm):
	hub = make("")
	crm.receive("people", requires=("email",))
	save(hub, "ada", email="")
	save(hub, "grace")
	send(hub, 3)
	assert dict(states(hub)) == {"ada": "Rejected", "grace": "Delivered"}
	assert crm.receive("people").counts.refused == 1, "it is not repeated blindly"
	assert "email is required" in errors_of(hub)[0]
	save(hub, "ada")
	send(hub)
	assert states(hub)[-1] == ("ada", "Delivered")


def delete(hub: StandaloneRuntime, *names: str) -> None:
	for name in names:
		hub.db.execute("DELETE FROM `tabPerson` WHERE `name` = %s", [name])


@pytest.mark.parametrize("policy", ["Keep", "Delete", "Disable"])
def test_a_deleted_row_goes_by_the_policy(make, crm, policy):
	hub = make(f'out_deletion = "{policy}"\nout_disable_path = "active"\nout_disable_value = "false"')
	save(hub, "ada")
	send(hub)
	delete(hub, "ada")
	send(hub)
	found = system(crm)
	assert list(found) == ([] if policy == "Delete" else ["ada@example.com"]), errors_of(hub)
	if policy == "Disable":
		assert found["ada@example.com"]["active"] is False and found["ada@example.com"]["name"] == "Ada"
	save(hub, "ada")
	send(hub)
	assert "active" not in system(crm)["ada@example.com"]


def test_a_mass_deletion_waits_for_approval(make, crm):
	hub = make('out_deletion = "Delete"')
	names = [f"p{n}" for n in range(12)]
	for name in names:
		save(hub, name)
	send(hub)
	delete(hub, *names)
	send(hub, 2)
	assert len(system(crm)) == 7, "five may go"
	held = deliveries.select(hub, statuses=["Conflict"])
	assert len(held) == 7
	deliveries.requeue(hub, held, approved=True)
	send(hub)
	assert system(crm) == {}


def test_removals_by_the_filters_wait_as_deletions_and_go_by_approval(make, crm):
	hub = make('out_deletion = "Delete"\nout_filters = \'[["Person", "vip", "=", 0]]\'')
	for number in range(12):
		save(hub, f"p{number}")
	send(hub)
	hub.db.execute("UPDATE `tabPerson` SET `vip` = 1")
	send(hub, 2)
	assert len(system(crm)) == 7
	held = deliveries.load(hub, deliveries.select(hub, statuses=["Conflict"]))
	assert {row["operation"] for row in held} == {"Delete"}, "a form offers to approve those"
	deliveries.requeue(hub, [row["name"] for row in held][:3], approved=True)
	hub.db.execute("UPDATE `tabPerson` SET `vip` = 0 WHERE `name` = %s", [held[0]["document"]])
	send(hub)
	assert len(system(crm)) == 5
	[row] = deliveries.load(hub, [held[0]["name"]])
	assert (row["operation"], row["status"]) == ("Upsert", "Unchanged"), "it fits again"


def test_a_row_that_was_there_before_is_adopted_and_never_deleted(make, crm):
	hub = make(LOOKUP + 'out_deletion = "Delete"')
	crm.receive("people").put("PEO-X", email="ada@example.com", name="?", note="theirs")
	save(hub, "ada")
	send(hub)
	assert crm.receive("people").counts.created == 0 and system(crm)["ada@example.com"]["name"] == "Ada"
	delete(hub, "ada")
	send(hub)
	assert list(crm.receive("people").all()) == ["PEO-X"]


def test_filters_keep_rows_back_and_take_them_away(make, crm):
	hub = make(
		'out_deletion = "Delete"\nout_filters = \'[["Person", "vip", "=", 1]]\'\nout_condition = "city != \'Secret\'"'
	)
	save(hub, "ada", vip=1)
	save(hub, "grace", vip=0)
	save(hub, "linus", vip=1, city="Secret")
	send(hub)
	assert list(system(crm)) == ["ada@example.com"] and states(hub) == [("ada", "Delivered")]
	save(hub, "ada", vip=0)
	send(hub)
	assert system(crm) == {}


def test_a_renamed_row_keeps_its_record(make, crm):
	hub = make()
	save(hub, "ada")
	send(hub)
	hub.db.execute("UPDATE `tabPerson` SET `name` = 'lovelace' WHERE `name` = 'ada'")
	save(hub, "lovelace", email="ada@example.com", full_name="Countess")
	send(hub)
	assert system(crm)["ada@example.com"]["name"] == "Countess" and crm.receive("people").counts.created == 1


def test_if_match_takes_the_present_version_after_somebody_else(make, crm):
	hub = make('precondition = "If-Match"')
	save(hub, "ada")
	send(hub)
	crm.receive("people").put("PEO-000001", name="theirs")
	save(hub, "ada", city="Łódź")
	send(hub)
	assert system(crm)["ada@example.com"] == {
		"name": "Ada",
		"email": "ada@example.com",
		"address": {"city": "Łódź"},
	}
	assert crm.receive("people").counts.refused == 1


def test_a_pause_frees_the_worker_and_no_attempt_is_counted(make, crm):
	hub = make("", **{"breaker_threshold = 0": "breaker_threshold = 0\nrate_limit = 2\nrate_period = 600"})
	for number in range(5):
		save(hub, f"p{number}")
	send(hub)
	rows = hub.db.query("SELECT `status`, `attempts` FROM `tabDelivery Log` ORDER BY `name`")
	assert ("Delivered", 1) in [(row["status"], row["attempts"]) for row in rows]
	assert {row["attempts"] for row in rows if row["status"] != "Delivered"} == {0}


def test_what_comes_back_is_written_and_fires_nothing(make, crm):
	hub = make('write_back = "city = id"')
	save(hub, "ada", city="")
	send(hub)
	assert hub.db.query("SELECT `city` FROM `tabPerson`")[0]["city"] == "PEO-000001"
	assert outbox.count(hub) == 0
	assert new_id()


def unnoticed(hub: StandaloneRuntime, name: str, **values: object) -> None:
	"""Change a row as something would that no trigger notes."""
	with hub.db.transaction(), quiet(hub.db):
		save(hub, name, **values)


def test_a_scan_finds_what_was_not_noted_and_repeats_nothing(make, crm):
	hub = make()
	crm.receive("people", requires=("email",))
	since = hub.now()
	for number in range(3):
		unnoticed(hub, f"p{number}", **({"email": ""} if number == 2 else {}))
	stream = load_outbound(hub, "people")
	newest = scan(hub, stream, since)
	assert newest > since and outbox.count(hub) == 3
	send(hub)
	assert dict(states(hub)) == {"p0": "Delivered", "p1": "Delivered", "p2": "Rejected"}
	before = crm.requests
	scan(hub, stream, newest)
	assert outbox.count(hub) == 0, "within the overlap, what was sent or refused as it is stays"
	assert crm.requests == before


def test_what_is_there_is_planned_and_sent_behind_live_changes(make, crm):
	hub = make('out_deletion = "Delete"\nout_filters = \'[["Person", "vip", "=", 0]]\'')
	save(hub, "sent")
	save(hub, "gone")
	send(hub)
	with hub.db.transaction(), quiet(hub.db):
		delete(hub, "gone")
	for name in ("a", "b"):
		unnoticed(hub, name)
	unnoticed(hub, "sent", city="Kyōto")
	unnoticed(hub, "left out", vip=1)
	found = plan(hub, "people")
	assert (found.create, found.update, found.delete) == (2, 1, 1)
	assert found.skip == {"It does not fit the filters": 1}
	assert outbox.count(hub) == 0 and found.sample[0]["payload"]["name"] == "A"
	send_all(hub, "people")
	sweep(hub)
	save(hub, "b", city="Łódź")  # a live change of one that waits
	save(hub, "live")
	sweep(hub)
	order = [
		row["document"]
		for row in hub.db.query(
			"SELECT `document` FROM `tabDelivery Log` WHERE `status` = 'Pending' ORDER BY `name`"
		)
	]
	assert order.index("live") < order.index("a") and order.index("b") < order.index("a")
	send(hub)
	assert {one["name"] for one in system(crm).values()} == {"A", "B", "Sent", "Live"}
	again = plan(hub, "people")
	assert (again.create, again.update, again.delete) == (0, 0, 0)


def test_a_comparison_finds_what_moved_no_time(make, crm):
	hub = make("compare_hours = 1")
	save(hub, "ada")
	send(hub)
	with hub.db.transaction(), quiet(hub.db):
		hub.db.execute("UPDATE `tabPerson` SET `city` = 'Kyōto'")
	state = json.dumps({"since": hub.now(), "scanned": hub.now(), "compared": "2020-01-01 00:00:00"})
	hub.db.execute("UPDATE `tabSync Settings` SET `scan_state` = %s", [state])
	send(hub)
	assert system(crm)["ada@example.com"]["address"] == {"city": "Kyōto"}


@pytest.mark.parametrize("settings", [LOOKUP, KEYS])
def test_a_document_that_is_deleted_before_its_creation_was_heard_of_goes_all_the_same(make, crm, settings):
	hub = make(settings + '\nout_deletion = "Delete"')
	save(hub, "ada")
	looks = ["none"] if "lookup" in settings else []
	crm.faults.set(following=[*looks, "reset after", "reset"])
	send(hub)
	assert len(system(crm)) == 1 and states(hub)[0][1] == "Failed"
	delete(hub, "ada")
	send(hub, 2)
	assert system(crm) == {} and crm.receive("people").counts.created == 1


EVENTS = """
send_as = "Event"
create_path = "/v1/received/hooks/messages"
event_type = "person.{operation}"
signature = "%s"
"""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("signature", ["Standard Webhooks", "HMAC", "Frappe"])
def test_each_change_is_a_signed_event_as_it_was(make, crm, monkeypatch, signature):
	monkeypatch.setenv("SIGNING", SECRET)
	hub = make(
		EVENTS % signature, **{"backoff_min = 0.01": 'backoff_min = 0.01\nsigning_secret = "env:SIGNING"'}
	)
	save(hub, "ada")
	save(hub, "ada", city="Kyōto")
	delete(hub, "ada")
	crm.faults.set(following=["reset after"])
	send(hub, 3)
	messages = crm.receive("hooks").messages
	bodies = [json.loads(one["body"]) for one in messages]
	kinds = [body["type"] for body in bodies]
	if signature != "Standard Webhooks":  # the sandbox knows a repeat by its webhook-id alone
		kinds, bodies = kinds[-3:], bodies[-3:]
	assert kinds == ["person.created", "person.updated", "person.deleted"]
	assert [body["data"]["address"]["city"] for body in bodies] == ["Pune", "Kyōto", "Kyōto"]
	for one in messages:
		raw, headers = one["body"].encode(), one["headers"]
		if signature == "Standard Webhooks":
			assert standardwebhooks.Webhook(SECRET).verify(raw, headers)
		elif signature == "HMAC":
			assert headers["x-webhook-signature"] == hmac.new(SECRET.encode(), raw, "sha256").hexdigest()
		else:
			assert (
				base64.b64decode(headers["x-frappe-webhook-signature"])
				== hmac.new(SECRET.encode(), raw, "sha256").digest()
			)
	assert SECRET not in str(hub.db.query("SELECT * FROM `tabDelivery Log`"))


@pytest.mark.parametrize("kind", ["Stream", "List"])
def test_redis_takes_what_another_hub_reads(make, crm, redis_url, monkeypatch, kind):
	monkeypatch.setenv("QUEUE", redis_url)
	key = f"out-{kind}-{new_id()}"
	reads = f'queue_url = "env:QUEUE"\nqueue_enabled = true\nqueue_kind = "{kind}"\nqueue_name = "{key}"\nevent_type_path = "type"\nevent_id_path = "id"'
	hub = make(
		f'send_to = "Redis {kind}"\nredis_key = "{key}"\nevent_type = "person.{{operation}}"',
		**{"backoff_min = 0.01": f"backoff_min = 0.01\n{reads}"},
	)
	if kind == "Stream":
		consumer_for(hub, "crm").drain(0.1)  # its group begins now
	save(hub, "ada")
	send(hub)
	save(hub, "ada")
	send(hub)
	assert [state for _, state in states(hub)] == ["Delivered", "Unchanged"], errors_of(hub)
	consumer_for(hub, "crm").drain(1)
	[event] = hub.db.query("SELECT * FROM `tabWebhook Log`")
	assert event["event_type"] == "person.Upsert" and json.loads(event["payload"])["data"]["name"] == "Ada"


def test_the_commands_list_try_out_and_send_again(make, crm, tmp_path):
	hub = make()
	save(hub, "ada")
	send(hub)
	unnoticed(hub, "grace")

	def run(*words: str) -> str:
		result = CliRunner().invoke(cli, ["--config", str(tmp_path / "hub.toml"), *words])
		assert result.exit_code == 0, result.output
		return result.output

	[name] = deliveries.select(hub)
	assert "ada" in run("deliveries", "--status", "delivered") and "Delivered" in run("status")
	assert "1 would be created" in run("send", "people", "--dry-run")
	assert "Nothing would be sent" in run("resend", name, "--dry-run")
	assert "1 deliveries queued again" in run("resend", name)
	assert "1 will be created" in run("send", "people")
	assert "2 deliveries" in run("work", "--once")
	assert crm.receive("people").counts.updated == 1, (
		"it is sent again on request, though nothing has changed"
	)


def test_twelve_attempts_take_about_two_days():
	for _ in range(20):
		assert 1.6 < sum(map(retry_delay, range(1, MAX_ATTEMPTS))) / 86_400 < 2.2


def test_failing_deliveries_are_reported_at_half_of_their_attempts(make, crm):
	hub = make("")
	save(hub, "ada")
	for number in range(6):
		assert monitors.check_problems(hub) == [], number
		crm.faults.set(following=["503"])
		send(hub)
	[name] = monitors.check_problems(hub)
	[row] = hub.db.query("SELECT * FROM `tabIntegration Error Log` WHERE `name` = %s", [name])
	assert (row["kind"], row["stream"]) == ("Deliveries Failing", "people")
	send(hub)
	monitors.check_problems(hub)
	[row] = hub.db.query("SELECT * FROM `tabIntegration Error Log` WHERE `name` = %s", [name])
	assert row["status"] == "Resolved" and states(hub) == [("ada", "Delivered")]
