"""The sandbox as an HTTP server on a port of its own."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from integration_hub.sandbox import sender
from integration_hub.sandbox.access import Budget, Tokens
from integration_hub.sandbox.data import Customers
from integration_hub.sandbox.faults import Faults
from integration_hub.sandbox.list_quirks import MOODS
from integration_hub.sandbox.routes import Call, Reply, answer


class Sandbox:
	"""A CRM: customers, a change feed, OAuth2, a request budget, faults, webhooks.

	Use it as a context manager to serve from a thread, or `serve_forever` to serve from this one.
	"""

	def __init__(
		self,
		customers: int = 250,
		seed: int = 1,
		*,
		host: str = "127.0.0.1",
		port: int = 0,
		token_lifetime: float = 3600,
		budget: int = 0,
		period: float = 10,
		latency: float = 0,
		takes_orders: bool = True,
	):
		"""takes_orders: what is below /_sandbox/ changes what it holds, has it fail, and has it send webhooks."""
		self.takes_orders = takes_orders
		self.customers = Customers(customers, seed)
		self.tokens = Tokens(token_lifetime)
		self.budget = Budget(budget, period)
		self.faults = Faults(seed)
		self.latency = latency
		self.requests = 0
		self.mood = ""  # how /v1/customers/page lists: see sandbox.list_quirks
		self.lists: dict[str, list[dict[str, Any]]] = {}  # more of what it has: name → what /v1/<name> lists
		self.pushed: dict[str, Any] = {}
		self.pushed_lock = threading.Lock()
		self._random = random.Random(seed)
		self._server = _Server((host, port), self)
		self._thread: threading.Thread | None = None

	@property
	def url(self) -> str:
		"""Return the base URL, with the port that the server listens at."""
		host, port = self._server.server_address[:2]
		return f"http://{host}:{port}"

	def __enter__(self) -> Sandbox:
		self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
		self._thread.start()
		return self

	def __exit__(self, *exc_info: object) -> None:
		self.stop()

	def stop(self) -> None:
		"""Stop serving from the thread; the port refuses connections from then on."""
		if self._thread:
			self._server.shutdown()
			self._server.server_close()
			self._thread = None

	def serve_forever(self) -> None:
		"""Answer requests until the server is shut down, then close its socket."""
		try:
			self._server.serve_forever()
		finally:
			self._server.server_close()

	def counts(self) -> dict[str, Any]:
		"""Return what the sandbox holds and what happened to it, for comparison."""
		return {
			**self.customers.counts(),
			"requests": self.requests,
			"tokens_issued": self.tokens.issued,
			"tokens_refused": self.tokens.refused,
			"refused_by_budget": self.budget.refused,
			"faults": dict(self.faults.met),
		}

	def be(self, mood: str) -> str:
		"""Put the sandbox in a mood, "" for none; return it. Raises ValueError for an unknown one."""
		if mood and mood not in MOODS:
			raise ValueError(f"{mood!r} is not one of {', '.join(MOODS)}")
		self.mood = mood
		return mood

	def change(self, create: int = 0, update: int = 0, delete: int = 0) -> dict[str, int]:
		"""Change customers at random; return the counts after."""
		self.customers.delete(delete)
		self.customers.update(update)
		self.customers.create(create)
		return self.customers.counts()

	def deliver(
		self,
		url: str,
		ids: Iterable[str] = (),
		event: str = "customer.updated",
		times: int = 1,
		secret: str = "",
	) -> dict[str, Any]:
		"""Send a signed webhook for each customer, `times` times over; return the statuses answered, 0 for none.

		{"statuses": [number]}, and "problem": why, where the last one was not answered.
		"""
		statuses, problem = [], ""
		for id in ids:
			record = self.customers.get(id)
			if record is None:
				raise ValueError(f"customer {id} does not exist")
			delivery = sender.make(event, record, secret or sender.SECRET)
			for _ in range(times):
				status, problem = self._attempt(url, delivery)
				statuses.append(status)
		return {"statuses": statuses, **({"problem": problem} if problem else {})}

	def token(self, call: Call) -> Reply:
		"""Answer the token endpoint of OAuth 2 (RFC 6749, section 5); the answer is not to be cached."""
		form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
		status, body = self.tokens.answer(form, call.headers.get("authorization", ""))
		return Reply(status, body, {"Cache-Control": "no-store"})

	@staticmethod
	def _attempt(url: str, delivery: sender.Delivery, tries: int = 5) -> tuple[int, str]:
		"""Send, and again after a failure, as providers do; return the last status, 0 for none, and why there is none."""
		status, problem = 0, ""
		for attempt in range(tries):
			try:
				status, problem = sender.send(url, delivery).status_code, ""
			except requests.RequestException as error:
				status, problem = 0, str(error)
			if 0 < status < 500:
				break
			time.sleep(0.1 * 2**attempt)
		return status, problem


class _Server(ThreadingHTTPServer):
	daemon_threads = True
	request_queue_size = 128

	def __init__(self, address: tuple[str, int], sandbox: Sandbox):
		self.sandbox = sandbox
		super().__init__(address, _Handler)

	def handle_error(self, request: Any, client_address: Any) -> None:
		"""A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"
	wbufsize = -1  # one packet for head and body
	disable_nagle_algorithm = True
	server: _Server

	def log_message(self, format: str, *args: Any) -> None:
		"""The counts tell what happened."""

	def do_GET(self) -> None:
		sandbox = self.server.sandbox
		parts = urlsplit(self.path)
		call = Call(
			method=self.command,
			path=parts.path,
			query=dict(parse_qsl(parts.query)),
			headers={name.lower(): value for name, value in self.headers.items()},
			body=self.rfile.read(int(self.headers.get("Content-Length") or 0)),
			target=self.path,
		)
		fault = None
		if call.path.startswith("/v1/"):
			sandbox.requests += 1
			time.sleep(sandbox.latency)
			fault = sandbox.faults.draw()
		if fault == "reset":
			self._reset()
			return
		if fault == "slow":
			time.sleep(sandbox.faults.slow_seconds)
		reply = Reply(int(fault), {"error": "fault"}) if fault in ("500", "503") else answer(sandbox, call)
		self._send(reply, fault)

	do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

	def _send(self, reply: Reply, fault: str | None) -> None:
		body = b"<html>oops" if fault == "garbage" else json.dumps(reply.body).encode()
		self.send_response(reply.status)
		for name, value in reply.headers.items():
			self.send_header(name, value)
		self.send_header("Content-Type", "application/json")
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		if fault == "truncate":
			body, self.close_connection = body[: len(body) // 2], True
		if self.command != "HEAD":
			self.wfile.write(body)
		self.wfile.flush()

	def _reset(self) -> None:
		"""Close with a TCP reset instead of a goodbye."""
		self.close_connection = True
		self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		self.connection.close()
