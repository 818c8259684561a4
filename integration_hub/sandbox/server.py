"""The sandbox as an HTTP server on a port of its own."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration_hub.sandbox.calls import Call, Reply
from integration_hub.sandbox.crm import CRM
from integration_hub.sandbox.routes import answer


class Sandbox(CRM):
	"""The CRM behind HTTP.

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
	) -> None:
		"""Make a sandbox, which does not listen yet.

		takes_orders: what is below /_sandbox/ changes what it holds, has it fail, and has it send webhooks.
		"""
		super().__init__(
			customers,
			seed,
			token_lifetime=token_lifetime,
			budget=budget,
			period=period,
			latency=latency,
			takes_orders=takes_orders,
		)
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


class _Server(ThreadingHTTPServer):
	daemon_threads = True
	request_queue_size = 128

	def __init__(self, address: tuple[str, int], sandbox: Sandbox) -> None:
		self.sandbox = sandbox
		super().__init__(address, _Handler)

	def handle_error(self, request: Any, client_address: Any) -> None:
		"""Do nothing: a client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
	protocol_version = "HTTP/1.1"
	wbufsize = -1  # one packet for head and body
	disable_nagle_algorithm = True
	server: _Server

	def log_message(self, format: str, *args: Any) -> None:
		"""Log nothing: the counts tell what happened."""

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
		if fault == "reset after":
			self._reset()
			return
		self._send(Reply(500, {"error": "fault"}) if fault == "500 after" else reply, fault)

	do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

	def _send(self, reply: Reply, fault: str | None) -> None:
		plain = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
		body = b"<html>oops" if fault == "garbage" else plain
		self.send_response(reply.status)
		for name, value in reply.headers.items():
			self.send_header(name, value)
		if "Content-Type" not in reply.headers:
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
