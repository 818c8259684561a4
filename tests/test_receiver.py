"""The receiver as it runs: `integration-hub serve`, and senders that mean no good or are merely slow."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests

from chaos.slow_connections import BODY, CHUNKED, HEAD
from integration_hub.runtime.server import KILL_SECONDS, alone_at
from integration_hub.runtime.standalone import hub_toml as hub_config
from integration_hub.runtime.standalone.receiver import application
from integration_hub.sandbox import sender
from integration_hub.sandbox.redis import free_port
from integration_hub.stores.runtime import HubError
from integration_hub.webhooks import asgi
from integration_hub.webhooks import endpoint as endpoints
from integration_hub.webhooks.asgi import AsgiReceiver
from integration_hub.webhooks.messages import MAX_BODY, MEGABYTE, Request, Response
from tests.slow_senders import HUB, Drips, event, good_ones, nginx, nginx_binary, post, running


@pytest.fixture
def config(runtime):
	return runtime.file.folder / "hub.toml"


def stored(runtime) -> int:
	return runtime.db.query("SELECT COUNT(*) AS n FROM `tabWebhook Log`")[0]["n"]


@pytest.mark.parametrize("in_front", ["", "nginx"])
def test_two_hundred_slow_connections_keep_nobody_waiting(runtime, config, tmp_path, in_front):
	if in_front and not nginx_binary():
		pytest.skip("nginx is not installed")
	with ExitStack() as stack:
		url, _ = stack.enter_context(running(config))
		if in_front:
			(tmp_path / "nginx").mkdir()
			url = stack.enter_context(nginx(tmp_path / "nginx", url))
		for begin, count in ((BODY, 100), (CHUNKED, 50), (HEAD, 50)):
			stack.enter_context(Drips(url, count, begin))
		found = good_ones(url, 3)
		assert requests.get(f"{url}/health", timeout=30).text == '{"status": "ok"}'
	assert {status for status, _ in found} <= {200, 202} and len(found) == 300
	assert stored(runtime) == 300


def test_what_comes_beyond_the_limit_is_shed_and_health_is_answered(runtime, config):
	with running(config, "--connections", "5") as (url, _), Drips(url, 5, BODY):
		time.sleep(1)
		answer = post(url, 1)
		assert (answer.status_code, answer.json()) == (503, {"status": "busy"})
		assert answer.headers["Retry-After"] == "5"
		assert requests.get(f"{url}/health", timeout=30).status_code == 200
		assert requests.head(f"{url}/health", timeout=30).status_code == 200
	assert stored(runtime) == 0


def test_a_locked_file_stops_neither_health_nor_the_answers(runtime, config):
	with running(config, "--threads", "2") as (url, _):
		assert post(url, "before").status_code in (200, 202)
		lock = sqlite3.connect(runtime.file.database, isolation_level=None)
		lock.execute("BEGIN EXCLUSIVE")
		answers: list[int] = []
		threads = [
			threading.Thread(target=lambda n=n: answers.append(post(url, n).status_code)) for n in range(12)
		]
		for thread in threads:
			thread.start()
		for _ in range(5):
			assert requests.get(f"{url}/health", timeout=5).status_code == 200
		for thread in threads:
			thread.join()
		assert answers == [503] * 12
		lock.execute("ROLLBACK")
		lock.close()
		assert post(url, "after").status_code in (200, 202)
	assert stored(runtime) == 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_read_and_answered(runtime, config, chunked):
	body = b"x" * (MAX_BODY + 1)
	data = iter([body[:MEGABYTE]] * 6) if chunked else body
	with running(config) as (url, _):
		answer = requests.post(f"{url}/webhooks/crm", data=data, timeout=60)
		assert (answer.status_code, answer.json()["status"]) == (413, "body_too_large")
		waits = b"POST /webhooks/crm HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n"
		with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as asking:
			asking.sendall(waits)
			assert asking.recv(100).startswith(b"HTTP/1.1 413")


def test_an_integration_says_how_large_a_body_may_be(make_runtime):
	runtime = make_runtime(("webhook_enabled = true", "webhook_enabled = true\nmax_body_mb = 8.5"))
	with running(runtime.file.folder / "hub.toml") as (url, _):
		assert post(url, 1, text="x" * 8 * MEGABYTE).status_code in (200, 202)
		assert post(url, 2, text="x" * 9 * MEGABYTE).status_code == 413
		body, _ = event(3, text="x" * 9 * MEGABYTE)
		packed = gzip.compress(body)
		headers = {sender.HEADER: sender.sign(packed), "Content-Encoding": "gzip"}
		assert (
			requests.post(f"{url}/webhooks/crm", data=packed, headers=headers, timeout=60).status_code == 413
		)
	assert stored(runtime) == 1


def test_a_body_that_breaks_off_is_not_stored(make_runtime):
	runtime = make_runtime(("webhook_enabled = true", 'webhook_enabled = true\nwebhook_scheme = "Token"'))
	head = f"POST /webhooks/crm HTTP/1.1\r\nHost: x\r\n{sender.HEADER}: {sender.SECRET}\r\n"
	head += "Content-Type: application/x-www-form-urlencoded\r\n"
	with running(runtime.file.folder / "hub.toml") as (url, _):
		for rest in (
			"Content-Length: 30\r\n\r\nid=1&event=x",
			"Transfer-Encoding: chunked\r\n\r\nc\r\nid=1&event=x\r\n",
		):
			with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as sending:
				sending.sendall((head + rest).encode())
		time.sleep(1)
		whole = requests.post(
			f"{url}/webhooks/crm",
			"id=2&event=x",
			headers={sender.HEADER: sender.SECRET, "Content-Type": "application/x-www-form-urlencoded"},
			timeout=30,
		)
		assert whole.status_code in (200, 202)
	assert stored(runtime) == 1


def test_the_port_of_another_receiver_is_refused(config):
	with running(config, "--workers", "2") as (url, _):
		port = url.rpartition(":")[2]
		command = [*HUB, "--config", str(config), "serve", "--port", port]
		second = subprocess.run(command, capture_output=True, text=True, timeout=60)
		assert second.returncode == 1 and "is taken" in second.stderr and "Traceback" not in second.stderr
		assert requests.get(f"{url}/health", timeout=30).status_code == 200


def test_two_that_begin_at_once_have_one_port():
	port, results = free_port(), []

	def begin() -> None:
		try:
			with alone_at("127.0.0.1", port):
				results.append("had it")
				time.sleep(8)
		except HubError as error:
			results.append(str(error))

	threads = [threading.Thread(target=begin) for _ in range(3)]
	for thread in threads:
		thread.start()
	for thread in threads:
		thread.join()
	assert sorted("taken" in result for result in results) == [False, True, True]


def test_a_name_of_this_machine_is_an_address_and_nonsense_is_said(config):
	command = [
		*HUB,
		"--config",
		str(config),
		"serve",
		"--port",
		str(free_port()),
		"--host",
		"no.such.host.invalid",
	]
	refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
	assert refused.returncode == 1 and "no.such.host.invalid" in refused.stderr
	with running(config, "--host", "localhost"):
		pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_connections_are_open(config, number):
	with running(config) as (url, process), Drips(url, 10, BODY), Drips(url, 10, HEAD):
		began = time.monotonic()
		os.kill(process.pid, number)
		assert process.wait(60) == 0
		assert time.monotonic() - began < KILL_SECONDS + 10


def test_changed_settings_and_secrets_reach_an_endpoint_that_runs(make_runtime, tmp_path):
	(tmp_path / "secret").write_text(sender.SECRET)
	runtime = make_runtime(('"env:CRM_WEBHOOK_SECRET"', '"file:secret"'))
	toml = runtime.file.folder / "hub.toml"
	with running(toml) as (url, _):
		assert post(url, 1).status_code in (200, 202)
		time.sleep(1.2)
		assert post(url, 2).status_code in (200, 202)
		(tmp_path / "secret").write_text("x" * len(sender.SECRET))
		assert post(url, 3).status_code == 401
		(tmp_path / "secret").write_text(sender.SECRET)
		assert post(url, 3).status_code in (200, 202)
		toml.write_text(toml.read_text().replace("webhook_enabled = true", "webhook_enabled = false"))
		assert post(url, 4).status_code == 404
		toml.write_text("this is no TOML")
		assert post(url, 5).status_code == 503


class Told:
	"""An ASGI server's side of one request: what it hands over, and what it is told."""

	def __init__(self, *chunks: bytes, pause: float = 0.0, **headers: str):
		self.chunks, self.pause, self.sent = list(chunks), pause, []
		named = [(b"host", b"x")]
		named += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
		self.scope = {"type": "http", "method": "POST", "path": "/webhooks/crm", "raw_path": b"/webhooks/crm"}
		self.scope |= {"query_string": b"", "scheme": "http", "headers": named}

	async def receive(self) -> dict:
		await asyncio.sleep(self.pause)
		chunk = self.chunks.pop(0)
		return {"type": "http.request", "body": chunk, "more_body": bool(self.chunks)}

	async def send(self, message: dict) -> None:
		self.sent.append(message)

	def ask(self, endpoint: AsgiReceiver) -> int:
		asyncio.run(endpoint(self.scope, self.receive, self.send))
		return self.sent[0]["status"]


class Takes:
	"""A receiver that takes what it gets."""

	def __init__(self) -> None:
		self.got: list[bytes] = []

	def receive(self, request) -> Response:
		self.got.append(request.body)
		return Response(200, "received")

	def too_large(self, integration: str, method: str) -> Response:
		return Response(413, "body_too_large")

	def largest_body(self, integration: str) -> int:
		return MAX_BODY


def test_a_body_has_a_deadline_and_a_least_rate(monkeypatch):
	monkeypatch.setattr(asgi, "BODY_SECONDS", 0.3)
	taken = Takes()
	endpoint = AsgiReceiver(taken, 1)
	assert Told(*[b"x"] * 50, pause=0.05, transfer_encoding="chunked").ask(endpoint) == 408
	assert Told(*[b"x" * 10_000] * 10, pause=0.05, transfer_encoding="chunked").ask(endpoint) == 200
	assert (len(taken.got), endpoint._open, endpoint._held) == (1, 0, 0)


def test_bodies_that_are_held_have_a_limit_in_all(monkeypatch):
	monkeypatch.setattr(asgi, "_HELD_BYTES", 1)
	monkeypatch.setattr(asgi, "BODY_SECONDS", 0.5)
	endpoint = AsgiReceiver(Takes(), 1)

	async def both() -> list[int]:
		slow = Told(b"xx", b"x", pause=0.1, transfer_encoding="chunked")
		first = asyncio.create_task(endpoint(slow.scope, slow.receive, slow.send))
		await asyncio.sleep(0.15)
		second = Told(b"x", transfer_encoding="chunked")
		await endpoint(second.scope, second.receive, second.send)
		await first
		return [slow.sent[0]["status"], second.sent[0]["status"]]

	assert asyncio.run(both()) == [200, 503]


def test_an_endless_body_is_not_drained_for_ever(monkeypatch):
	monkeypatch.setattr(asgi, "_DRAINED_BYTES", 1)
	told = Told(*[b"x" * MEGABYTE] * 20, transfer_encoding="chunked")
	assert told.ask(AsgiReceiver(Takes(), 1)) == 413
	assert len(told.chunks) > 10


def test_who_waits_too_long_for_a_thread_is_told_to_come_again(monkeypatch):
	monkeypatch.setattr(asgi, "WAIT_SECONDS", -1)
	taken = Takes()
	assert Told(b"{}", content_length="2").ask(AsgiReceiver(taken, 1)) == 503 and taken.got == []


def test_settings_are_parsed_once_for_all_requests_and_threads(runtime, config, monkeypatch):
	"""With 1,000 integrations and 10,000 streams a request took 0.4 s: each parsed all of them."""
	parsed: list[str] = []
	real = hub_config.tomllib.loads
	monkeypatch.setattr(hub_config.tomllib, "loads", lambda text: parsed.append(text) or real(text))
	looked = []
	loads = endpoints._load
	monkeypatch.setattr(endpoints, "_load", lambda runtime, name: looked.append(name) or loads(runtime, name))
	config.write_text(config.read_text() + "\n# changed\n")
	endpoint = application(str(config))
	time.sleep(1.2)  # a file that has just changed may change again unnoticed

	def ask(number: int) -> int:
		body, headers = event(number)
		given = {name.lower(): value for name, value in headers.items()}
		return endpoint.receive(Request("crm", "POST", given, body)).status

	with ThreadPoolExecutor(4) as pool:
		assert set(pool.map(ask, range(200))) <= {200, 202}
	assert len(parsed) == 1 and 0 < len(looked) <= 4
	config.write_text(config.read_text().replace("# changed", "# changed again"))
	time.sleep(1.2)
	assert ask(1000) in (200, 202) and len(parsed) == 2
