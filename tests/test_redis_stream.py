"""Messages of a real Redis stream into the inbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import redis

from integration_hub.queues import redis_stream
from integration_hub.queues.consumer import consumer_for
from integration_hub.webhooks.drain import drain
from tests.compare import table

QUEUE, GROUP = "crm_events", "integration_hub"


@pytest.fixture
def client(redis_url) -> redis.Redis:
	client = redis.from_url(redis_url)
	client.flushall()
	return client


@pytest.fixture
def runtime(make_runtime, redis_url):
	return make_runtime(
		('queue_name = "crm_events"', 'queue_name = "crm_events"\nqueue_kind = "Stream"'), redis_url=redis_url
	)


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


def numbers(runtime) -> list[int]:
	return sorted(int(json.loads(row["payload"])["n"]) for row in rows(runtime))


def add(client, *ns: int) -> None:
	for n in ns:
		client.xadd(QUEUE, {"message": json.dumps({"type": "stock", "n": n})})


def test_entries_become_events_and_are_handled(runtime, client, crm):
	for customer in crm.customers.alive()[:30]:
		message = {"id": f"m-{customer['id']}", "type": "customer.created", "data": customer}
		client.xadd(QUEUE, {"data": json.dumps(message)})
	assert consumer_for(runtime, "crm").drain().received == 30
	assert drain(runtime, "crm").completed == 30
	assert len(table(runtime, "full")) == 30
	assert client.xpending(QUEUE, GROUP)["pending"] == 0
	assert consumer_for(runtime, "crm").drain().total == 0


def test_fields_are_a_message_and_equal_entries_are_two(runtime, client):
	for _ in range(2):
		client.xadd(QUEUE, {"type": "stock", "sku": "A", "n": "5"})
	assert consumer_for(runtime, "crm").drain().received == 2
	assert [row["event_type"] for row in rows(runtime)] == ["stock", "stock"] and numbers(runtime) == [5, 5]


def test_unreadable_and_trimmed_entries_are_dead_letters_with_their_reason(runtime, client):
	client.xadd(QUEUE, {"message": b"\xff"})
	client.xadd(QUEUE, {"a": b"\xff", "b": "1"})
	client.xadd(QUEUE, {"message": "not json"})
	consumer = consumer_for(runtime, "crm")
	assert consumer.drain().unreadable == 3
	add(client, 1)
	consumer.read(0)  # read, not acknowledged, and trimmed meanwhile
	client.xtrim(QUEUE, maxlen=0, approximate=False)
	consumer_for(runtime, "crm").drain()
	reasons = [json.loads(letter)["reason"] for letter in client.lrange(consumer.dead, 0, -1)]
	assert sorted(reasons) == ["body_not_json", "body_not_utf8", "body_not_utf8", "entry_trimmed"]


def test_what_a_consumer_that_is_gone_had_read_is_taken_up(runtime, client, monkeypatch):
	add(client, 1, 2)
	gone = consumer_for(runtime, "crm", "gone")
	gone.recover()
	assert len(gone.read(0)) == 2
	assert consumer_for(runtime, "crm").drain().received == 0, "it may still be at it"
	monkeypatch.setattr(redis_stream, "SILENT_SECONDS", 0)
	assert consumer_for(runtime, "crm").drain().received == 2
	assert client.xpending(QUEUE, GROUP)["pending"] == 0


def test_a_drain_whose_time_is_over_leaves_the_rest_for_the_next(runtime, client):
	add(client, *range(250))
	gone = consumer_for(runtime, "crm")
	gone.recover()
	gone.read(0)
	gone.read(0)  # unacknowledged, under the name that the next one has
	done = 0
	while (consumed := consumer_for(runtime, "crm").drain(0)).more:
		assert 0 < consumed.received <= 100
		done += consumed.received
	assert done + consumed.received == 250
	assert [int(json.loads(row["payload"])["n"]) for row in rows(runtime)] == list(range(250))


def test_what_others_left_is_taken_up_in_pieces_too(runtime, client, monkeypatch):
	add(client, *range(250))
	gone = consumer_for(runtime, "crm", "gone")
	gone.recover()
	while gone.read(0):
		pass
	monkeypatch.setattr(redis_stream, "SILENT_SECONDS", 0)
	assert consumer_for(runtime, "crm").drain(0).more
	assert 0 < len(rows(runtime)) < 250
	while consumer_for(runtime, "crm").drain(0).more:
		pass
	assert numbers(runtime) == list(range(250))


def test_killed_after_the_commit_and_before_the_acknowledgement(runtime, client):
	add(client, 1)
	consumer = consumer_for(runtime, "crm")
	consumer.acknowledge = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
	with pytest.raises(KeyboardInterrupt):
		consumer.drain()
	assert numbers(runtime) == [1]
	again = consumer_for(runtime, "crm").drain()
	assert (again.duplicate, numbers(runtime)) == (1, [1])


def test_a_lost_group_is_made_again_and_nothing_with_it_lost_or_doubled(runtime, client):
	add(client, 1, 2)
	consumer = consumer_for(runtime, "crm")
	consumer.drain()
	add(client, 3)
	assert len(consumer.read(0)) == 1  # unacknowledged when the group goes
	client.xgroup_destroy(QUEUE, GROUP)
	add(client, 4)
	while consumer.run_once():
		pass
	assert numbers(runtime) == [1, 2, 3, 4]
	assert consumer.done.duplicate == 0, "it begins where everything was acknowledged"


def test_a_lost_redis_is_begun_anew(runtime, client):
	add(client, 1)
	consumer = consumer_for(runtime, "crm")
	consumer.drain()
	client.flushall()
	assert consumer.run_once() == 0
	add(client, 2)
	assert consumer.run_once() == 1
	assert numbers(runtime) == [1, 2]


def test_killed_at_any_moment_nothing_is_lost_or_doubled(runtime, client, monkeypatch):
	add(client, *range(600))
	path = str(runtime.file.folder / "hub.toml")
	code = "from integration_hub.commands import main; main()"
	for number, pause in enumerate((0.35, 0.42, 0.5, 0.6)):
		command = [sys.executable, "-c", code, "--config", path, "consume", "crm", "--name", f"c{number % 2}"]
		process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
		time.sleep(pause)
		os.kill(process.pid, signal.SIGKILL)
		process.wait()
	monkeypatch.setattr(redis_stream, "SILENT_SECONDS", 0)
	consumer_for(runtime, "crm").drain()
	assert numbers(runtime) == list(range(600))


def test_large_entries_are_read_fewer_at_a_time(runtime, client, monkeypatch):
	monkeypatch.setattr(redis_stream, "BATCH_BYTES", 10_000)
	for n in range(40):
		client.xadd(QUEUE, {"message": json.dumps({"type": "stock", "n": n, "text": "x" * 3000})})
	consumer = consumer_for(runtime, "crm")
	batches = [consumer.run_once() for _ in range(3)]
	assert batches == [10, 3, 3]
	assert consumer.drain().received == 40
	assert numbers(runtime) == list(range(40))
