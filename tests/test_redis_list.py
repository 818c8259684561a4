"""Messages of a real Redis list into the inbox."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from integration_hub.queues import consumer as consumers
from integration_hub.queues import redis_list
from integration_hub.queues.consumer import SwitchedOff, consumer_for
from integration_hub.queues.consumer_loop import ConsumerLoop
from integration_hub.queues.round_robin import in_turns
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox.redis import free_port, redis_server
from integration_hub.stores.database import update
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks.drain import drain
from integration_hub.webhooks.messages import MAX_BODY
from tests.compare import table
from tests.tls import self_signed, tls_in_front_of

QUEUE = "crm_events"


@pytest.fixture
def client(redis_url) -> redis.Redis:
	client = redis.from_url(redis_url)
	client.flushall()
	return client


@pytest.fixture
def runtime(make_runtime, redis_url):
	return make_runtime(redis_url=redis_url)


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


def test_messages_become_events_and_are_handled(runtime, client, crm):
	for customer in crm.customers.alive()[:30]:
		client.lpush(
			QUEUE, json.dumps({"id": f"m-{customer['id']}", "type": "customer.created", "data": customer})
		)
	assert consumer_for(runtime, "crm").drain().received == 30
	assert drain(runtime, "crm").completed == 30
	assert len(table(runtime, "full")) == 30
	assert client.keys("*") == []


def test_equal_messages_without_an_id_are_two(runtime, client):
	for _ in range(2):
		client.lpush(QUEUE, json.dumps({"type": "stock", "data": {"quantity": 5}}))
	assert consumer_for(runtime, "crm").drain().received == 2


def test_what_a_dead_consumer_had_read_is_stored_once(runtime, client):
	"""Killed after the commit and before the acknowledgement: found again, and known."""
	client.lpush(QUEUE, json.dumps({"type": "stock", "data": {"quantity": 5}}))
	consumer = consumer_for(runtime, "crm")
	consumer.redis.pipeline = lambda **_: (_ for _ in ()).throw(KeyboardInterrupt)
	with pytest.raises(KeyboardInterrupt):
		consumer.run_once()
	assert len(rows(runtime)) == 1 and client.llen(consumer.processing) == 1

	again = consumer_for(runtime, "crm")
	assert again.recover()
	assert (again.done.duplicate, len(rows(runtime)), client.llen(again.processing)) == (1, 1, 0)


def test_an_unreadable_message_goes_to_the_dead_letters_with_its_reason(runtime, client):
	client.lpush(QUEUE, b"\xff\x00 not json")
	consumer = consumer_for(runtime, "crm")
	assert consumer.drain().unreadable == 1
	letter = json.loads(client.rpop(consumer.dead))
	assert letter["reason"] == "body_not_utf8" and "not json" in letter["message"]
	consumer_for(runtime, "crm").drain()  # and that goes well, which resolves nothing
	[told] = runtime.db.query("SELECT * FROM `tabIntegration Error Log`")
	assert (told["operation"], told["kind"], told["status"]) == ("Dead Letter", "body_not_utf8", "Open")
	assert consumer.dead in told["message"]


def test_a_message_for_which_a_path_of_the_settings_costs_too_much_is_a_dead_letter(
	make_runtime, client, redis_url
):
	bomb = "{a:@,b:@}|" * 16 + "@"
	runtime = make_runtime(
		('event_id_path = "id"', f'event_id_path = "id || length({bomb})"'), redis_url=redis_url
	)
	for message in ({"id": "m-1", "type": "stock"}, {"type": "stock"}):
		client.lpush(QUEUE, json.dumps(message))
	consumer = consumer_for(runtime, "crm")
	assert (consumer.drain().received, consumer.done.unreadable) == (1, 1)
	assert json.loads(client.rpop(consumer.dead))["reason"].startswith("path_too_costly")


def test_killed_at_any_moment_nothing_is_lost_or_doubled(runtime, client):
	total = 600
	for number in range(total):
		client.lpush(QUEUE, json.dumps({"type": "stock", "number": number}))
	path = str(runtime.file.folder / "hub.toml")
	code = "import sys, threading; from integration_hub.runtime.standalone import StandaloneRuntime; from integration_hub.queues.consumer_loop import Running; Running(StandaloneRuntime(sys.argv[1]), 'crm').run(threading.Event())"
	for pause in (0.35, 0.4, 0.45, 0.5):
		process = subprocess.Popen([sys.executable, "-c", code, path])
		time.sleep(pause)
		os.kill(process.pid, signal.SIGKILL)
		process.wait()
	consumer_for(runtime, "crm").drain()
	numbers = sorted(json.loads(row["payload"])["number"] for row in rows(runtime))
	assert numbers == list(range(total))


def test_sigterm_ends_a_consumer_that_waits(runtime, client):
	code = "from integration_hub.commands import main; main()"
	path = str(runtime.file.folder / "hub.toml")
	process = subprocess.Popen([sys.executable, "-c", code, "--config", path, "consume", "crm"])
	client.lpush(QUEUE, json.dumps({"type": "stock"}))
	deadline = time.monotonic() + 120
	while not rows(runtime) and time.monotonic() < deadline:
		time.sleep(0.05)
	process.terminate()
	assert process.wait(60) == 0 and len(rows(runtime)) == 1


def test_a_consumer_survives_a_redis_that_goes_away(make_runtime):
	port = free_port()
	url = f"redis://127.0.0.1:{port}/0"
	runtime = make_runtime(('redis = "', '# redis = "'), redis_url=url)
	code = "from integration_hub.commands import main; main()"
	path = str(runtime.file.folder / "hub.toml")
	process = subprocess.Popen([sys.executable, "-c", code, "--config", path, "consume", "crm"])
	try:
		for number in range(2):
			with redis_server(port):
				redis.from_url(url).lpush(QUEUE, json.dumps({"type": "stock", "number": number}))
				deadline = time.monotonic() + 30
				while len(rows(runtime)) <= number and time.monotonic() < deadline:
					time.sleep(0.05)
				assert len(rows(runtime)) == number + 1
	finally:
		process.terminate()
		process.wait(10)


def test_a_queue_that_is_off_is_said_so(make_runtime):
	with pytest.raises(HubError, match="Integration Settings crm, queue_enabled"):
		consumer_for(make_runtime(), "crm")


def test_what_a_consumer_of_another_name_left_is_taken_up(runtime, client):
	client.lpush(QUEUE, json.dumps({"type": "stock", "n": 1}), json.dumps({"type": "stock", "n": 2}))
	gone = consumer_for(runtime, "crm", "gone")
	gone.store = lambda *_: None  # read, and then it is no more
	gone.run_once()
	assert consumer_for(runtime, "crm").drain().received == 0, "it may still be at it"
	client.delete(gone._alive("gone"))
	assert consumer_for(runtime, "crm").drain().received == 2
	assert client.keys("*") == []


@pytest.mark.parametrize(
	"url",
	[
		"redis://10.0.0.5:6379/0",
		"redis://10%2e0.0.5:6379/0",
		"redis://8.8.8.8?host=10.0.0.5",
		"redis://8.8.8.8?connection_class=x",
		"unix:///run/redis.sock",
		"http://x",
		"redis://",
	],
)
def test_a_queue_is_not_pointed_into_a_private_network(make_runtime, redis_url, monkeypatch, url):
	runtime = make_runtime(redis_url=redis_url)
	monkeypatch.setenv("CRM_QUEUE_URL", url)
	with pytest.raises(HubError, match="queue_url"):
		consumer_for(runtime, "crm")


def numbers(runtime) -> list[int]:
	return [json.loads(row["payload"])["n"] for row in rows(runtime)]


def push(client, *ns: int) -> None:
	for n in ns:
		client.lpush(QUEUE, json.dumps({"type": "stock", "n": n}))


def test_a_drain_whose_time_is_over_leaves_the_rest_for_the_next(runtime, client):
	push(client, *range(250))
	assert consumer_for(runtime, "crm").drain(0).more
	assert 0 < len(rows(runtime)) < 250
	while consumer_for(runtime, "crm").drain(0).more:
		pass
	assert numbers(runtime) == list(range(250))
	assert client.keys("*") == []


def test_taking_up_what_was_left_ends_with_the_time_too_and_stays_before_what_came_later(runtime, client):
	push(client, *range(250))
	gone = consumer_for(runtime, "crm")
	gone.store = lambda *_: None  # read, and then it is no more
	while gone.run_once():
		pass
	push(client, *range(250, 300))
	assert consumer_for(runtime, "crm").drain(0).more
	assert 0 < len(rows(runtime)) < 250 and client.llen(QUEUE) == 50

	# What it has in progress still is found by another one, whatever its name.
	while consumer_for(runtime, "crm", "another").drain(0).more:
		pass
	assert numbers(runtime) == list(range(300))
	assert client.keys("*") == []


def test_a_queue_that_never_ends_does_not_keep_the_others_waiting():
	turns, left = [], {"long": 10**9, "short": 3, "shorter": 1}

	def take(name: str, seconds: float) -> bool:
		turns.append(name)
		left[name] -= 1
		return left[name] > 0

	in_turns(["long", "short", "shorter"], take, 0.2)
	assert left["short"] == left["shorter"] == 0
	assert sorted(turns[:3]) == ["long", "short", "shorter"], "each has a turn before one has the second"
	assert turns.count("long") > 3


def test_another_queue_begins_each_time():
	def first() -> str:
		turns = []
		in_turns("abc", lambda name, seconds: turns.append(name), 1)
		return turns[0]

	assert {first() for _ in range(100)} == set("abc")


def test_a_message_that_is_too_large_is_a_dead_letter_and_the_others_go_through(runtime, client):
	client.lpush(QUEUE, json.dumps({"type": "stock", "text": "x" * MAX_BODY}), json.dumps({"type": "stock"}))
	consumer = consumer_for(runtime, "crm")
	done = consumer.drain()
	assert (done.received, done.unreadable) == (1, 1)
	letter = json.loads(client.rpop(consumer.dead))
	assert letter["reason"] == "body_too_large" and len(letter["message"]) > MAX_BODY


def test_large_messages_are_stored_in_statements_that_a_database_takes(runtime, client, monkeypatch):
	for number in range(20):
		client.lpush(QUEUE, json.dumps({"type": "stock", "n": number, "text": "x" * 170_000}))
	lengths, execute = [], runtime.db.execute
	monkeypatch.setattr(
		runtime.db,
		"execute",
		lambda sql, params=None: lengths.append(len(str(params))) or execute(sql, params),
	)
	assert consumer_for(runtime, "crm").drain().received == 20
	assert max(lengths) < 1_200_000
	assert sorted(json.loads(row["payload"])["n"] for row in rows(runtime)) == list(range(20))


def test_a_message_the_database_refuses_does_not_hold_up_the_others(runtime, client):
	runtime.db.execute(
		"""CREATE TRIGGER refuse BEFORE INSERT ON `tabWebhook Log` WHEN NEW.`payload` LIKE '%poison%'
		BEGIN SELECT RAISE(ABORT, 'no such text'); END"""
	)
	for text in ("a", "poison", "b"):
		client.lpush(QUEUE, json.dumps({"type": "stock", "text": text}))
	consumer = consumer_for(runtime, "crm")
	done = consumer.drain()
	assert (done.received, done.unreadable) == (2, 1)
	letter = json.loads(client.rpop(consumer.dead))
	assert "poison" in letter["message"] and "no such text" in letter["reason"]
	assert client.keys("*") == []


def test_a_database_that_takes_nothing_makes_no_dead_letters(runtime, client):
	runtime.db.execute(
		"""CREATE TRIGGER refuse BEFORE INSERT ON `tabWebhook Log`
		BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"""
	)
	client.lpush(QUEUE, json.dumps({"type": "stock"}))
	consumer = consumer_for(runtime, "crm")
	with pytest.raises(sqlite3.Error, match="disk is full"):
		consumer.drain()
	assert not client.exists(consumer.dead)
	runtime.db.execute("DROP TRIGGER refuse")
	assert consumer_for(runtime, "crm").drain().received == 1


@pytest.fixture
def names(monkeypatch):
	"""Have queue.example resolve to one address after the other, the last one for ever."""
	addresses, resolve = [], socket.getaddrinfo

	def answer(host, port, *args, **options):
		if host == "queue.example":
			host = addresses.pop(0) if len(addresses) > 1 else addresses[0]
		return resolve(host, port, *args, **options)

	monkeypatch.setattr(socket, "getaddrinfo", answer)
	return addresses


@pytest.mark.parametrize("looks", [1, 2])
def test_a_name_that_changes_its_address_leads_nowhere_private(
	make_runtime, client, redis_url, names, monkeypatch, looks
):
	"""Public when it is looked at, and this machine afterwards: at the next connection, or within the same one."""
	monkeypatch.setattr(consumers, "_TIMEOUTS", {"socket_connect_timeout": 0.2})
	names += ["8.8.8.8"] * looks + ["127.0.0.1"]
	client.lpush(QUEUE, json.dumps({"type": "stock"}))
	runtime = make_runtime(redis_url=redis_url.replace("127.0.0.1", "queue.example"))
	with pytest.raises(redis.ConnectionError):
		consumer_for(runtime, "crm").redis.ping()
	with pytest.raises(HubError, match="private network"):
		consumer_for(runtime, "crm")
	assert client.llen(QUEUE) == 1


def test_a_host_that_is_allowed_may_be_anywhere(make_runtime, client, redis_url, names):
	names.append("127.0.0.1")
	client.lpush(QUEUE, json.dumps({"type": "stock"}))
	runtime = make_runtime(
		('allowed_hosts = ["127.0.0.1', 'allowed_hosts = ["queue.example:*", "127.0.0.1'),
		redis_url=redis_url.replace("127.0.0.1", "queue.example"),
	)
	assert consumer_for(runtime, "crm").drain().received == 1


def test_a_private_url_of_the_sites_owner_works(make_runtime, client, redis_url, monkeypatch):
	client.lpush(QUEUE, json.dumps({"type": "stock"}))
	runtime = make_runtime(('allowed_hosts = ["127', 'allowed_hosts = [] # ["127'), redis_url=redis_url)
	monkeypatch.setenv("CRM_QUEUE_URL", "")
	assert consumer_for(runtime, "crm", fallback_url=redis_url).drain().received == 1


@pytest.mark.parametrize(
	("named", "options", "said"),
	[
		("queue.example", "", ""),
		("other.example", "", "mismatch|doesn't match|not valid for"),
		("other.example", "&ssl_check_hostname=false", ""),
	],
)
def test_with_tls_the_certificate_has_to_be_the_hosts(
	make_runtime, client, redis_url, names, tmp_path, named, options, said
):
	names.append("127.0.0.1")
	certificate, key = self_signed(tmp_path, named)
	with tls_in_front_of(redis_url, certificate, key) as port:
		url = f"rediss://queue.example:{port}/0?ssl_ca_certs={certificate}{options}"
		runtime = make_runtime(
			('allowed_hosts = ["127.0.0.1', 'allowed_hosts = ["queue.example:*", "127.0.0.1'), redis_url=url
		)
		queue = consumer_for(runtime, "crm").redis
		if not said:
			assert queue.ping()
			return
		with pytest.raises(redis.ConnectionError, match=said):
			queue.ping()


@contextmanager
def running(runtime) -> Iterator[list[BaseException]]:
	"""Consume in a thread, with a runtime of its own; give what it ended with."""
	stop, ended = threading.Event(), []

	def run() -> None:
		with StandaloneRuntime(runtime.file.folder / "hub.toml") as own:
			try:
				ConsumerLoop(own, "crm").run(stop)
			except HubError as error:
				ended.append(error)

	thread = threading.Thread(target=run)
	thread.start()
	try:
		yield ended
	finally:
		stop.set()
		thread.join(30)


def until(condition) -> None:
	deadline = time.monotonic() + 30
	while not condition():
		assert time.monotonic() < deadline
		time.sleep(0.05)


def trouble(runtime) -> list[tuple]:
	sql = "SELECT `operation`, `kind`, `occurrences`, `status`, `message` FROM `tabIntegration Error Log`"
	return [tuple(row.values()) for row in runtime.db.query(sql)]


def set_to(runtime, **values) -> None:
	with runtime.db.transaction():
		update(runtime.db, "Integration Settings", "crm", values)


def test_a_consumer_that_runs_follows_its_settings_until_it_is_switched_off(runtime, client):
	with running(runtime) as ended:
		client.lpush(QUEUE, json.dumps({"type": "stock", "n": 1}))
		until(lambda: len(rows(runtime)) == 1)
		set_to(runtime, queue_name="other_events")
		client.lpush("other_events", json.dumps({"type": "stock", "n": 2}))
		until(lambda: len(rows(runtime)) == 2)
		set_to(runtime, queue_enabled=0)
		until(lambda: ended)
	assert isinstance(ended[0], SwitchedOff) and "queue_enabled" in str(ended[0])


def test_a_consumer_that_runs_follows_its_url(runtime, client, monkeypatch):
	with redis_server() as url, running(runtime):
		client.lpush(QUEUE, json.dumps({"type": "stock", "n": 1}))
		until(lambda: len(rows(runtime)) == 1)
		redis.from_url(url).lpush(QUEUE, json.dumps({"type": "stock", "n": 2}))
		monkeypatch.setenv("CRM_QUEUE_URL", url)
		until(lambda: len(rows(runtime)) == 2)


def test_the_trouble_of_a_consumer_is_shown_once_and_resolved(runtime, client):
	client.set(QUEUE, "not a list")
	with running(runtime):
		until(lambda: trouble(runtime))
		[(operation, kind, occurrences, status, message)] = trouble(runtime)
		assert (operation, kind, occurrences, status) == ("Queue", "ResponseError", 1, "Open")
		assert "WRONGTYPE" in message
		client.delete(QUEUE)
		client.lpush(QUEUE, json.dumps({"type": "stock"}))
		until(lambda: rows(runtime) and trouble(runtime)[0][3] == "Resolved")
	assert [row[2] for row in trouble(runtime)] == [1]


def test_a_redis_that_wants_a_password_is_shown(runtime, client):
	client.config_set("requirepass", "other")
	try:
		with running(runtime):
			until(lambda: trouble(runtime))
	finally:
		client.execute_command("AUTH", "other")
		client.config_set("requirepass", "")
	assert "uthentication" in trouble(runtime)[0][4]


def test_large_messages_are_read_fewer_at_a_time(runtime, client, monkeypatch):
	monkeypatch.setattr(redis_list, "BATCH_BYTES", 10_000)
	for n in range(40):
		client.lpush(QUEUE, json.dumps({"type": "stock", "n": n, "text": "x" * 3000}))
	consumer = consumer_for(runtime, "crm")
	assert consumer.run_once() == 4
	assert consumer.drain().received == 40
	assert numbers(runtime) == list(range(40))


def test_a_message_that_holds_several_events_is_taken_apart_and_known_again(make_runtime, redis_url, client):
	settled = '\nevent_type_path = "event"\nevent_id_path = "id"\n'
	runtime = make_runtime((settled, '\nevents_path = "events[]"\n'), redis_url=redis_url)
	body = json.dumps({"at": 1, "events": [{"type": "stock", "n": 5}, {"type": "stock", "n": 6}, 7]})
	client.lpush(QUEUE, body)
	consumer = consumer_for(runtime, "crm")
	consumer.redis.pipeline = lambda **_: (_ for _ in ()).throw(KeyboardInterrupt)
	with pytest.raises(KeyboardInterrupt):
		consumer.drain()
	again = consumer_for(runtime, "crm").drain()
	assert (again.received, again.duplicate, again.conflict) == (0, 3, 0)
	client.lpush(QUEUE, body)
	other = consumer_for(runtime, "crm").drain()
	assert (other.received, other.conflict) == (2, 1), "an equal message is another one, as before"
	assert [row["status"] for row in rows(runtime)] == ["Unrouted", "Unrouted", "Conflict"] * 2
	assert client.keys("*") == []
