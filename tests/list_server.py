"""A list over HTTP that answers as a test says, and a runtime with one stream of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration_hub.runtime.standalone import StandaloneRuntime

Reply = tuple[int, Mapping[str, str] | list[tuple[str, str]], Any]
Answer = Callable[[str, dict[str, str]], Any]

HUB = """
[hub]
allowed_hosts = ["{host}"]

[integration.source]
base_url = "{url}"
backoff_min = 0.01
max_attempts = 1
breaker_threshold = 0

[stream.things]
integration = "source"
mode = "{mode}"
endpoint = "/things"
target_doctype = "Thing"
deletion_policy = "Delete"
max_delete_percent = 100
{settings}

[stream.things.mapping]
thing = "id"

[table.Thing]
thing = "Data"
"""


class Lists:
	"""A server. answer: called with path and query; returns a body, or (status, headers, body).

	asked: the queries. sent: what came beside them: method, path, headers, body.
	"""

	def __init__(self, answer: Answer):
		self.answer = answer
		self.asked: list[dict[str, str]] = []
		self.sent: list[tuple[str, str, Mapping[str, str], bytes]] = []
		outer = self

		class Handler(BaseHTTPRequestHandler):
			protocol_version = "HTTP/1.1"

			def do_GET(self) -> None:
				parts = urlsplit(self.path)
				query = dict(parse_qsl(parts.query, keep_blank_values=True))
				outer.asked.append(query)
				given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
				outer.sent.append((self.command, parts.path, self.headers, given))
				found = outer.answer(parts.path, query)
				status, headers, body = found if isinstance(found, tuple) else (200, {}, found)
				data = b"" if body is None and status == 204 else body
				data = data if isinstance(data, bytes) else json.dumps(data).encode()
				self.send_response(status)
				for name, value in headers.items() if isinstance(headers, Mapping) else headers:
					self.send_header(name, value)
				if status != 204:
					self.send_header("Content-Length", str(len(data)))
				self.end_headers()
				self.wfile.write(data)

			do_POST = do_GET

			def log_message(self, *args: object) -> None:
				return

		self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
		self.url = f"http://127.0.0.1:{self._server.server_port}"

	def __enter__(self) -> Lists:
		threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
		return self

	def __exit__(self, *exc_info: object) -> None:
		self._server.shutdown()
		self._server.server_close()


@contextmanager
def stream_of(
	folder: Path, answer: Answer, settings: str = "", mode: str = "Full"
) -> Iterator[tuple[Lists, StandaloneRuntime]]:
	"""Give a server and a runtime whose stream `things` lists it."""
	with Lists(answer) as source:
		(folder / "hub.toml").write_text(
			HUB.format(url=source.url, host=source.url[7:], settings=settings, mode=mode)
		)
		with StandaloneRuntime(folder / "hub.toml") as runtime:
			yield source, runtime


def things(count: int, first: int = 1) -> list[dict[str, Any]]:
	return [{"id": number} for number in range(first, first + count)]


def ids(runtime: StandaloneRuntime) -> list[int]:
	return sorted(int(row["thing"]) for row in runtime.db.query("SELECT `thing` FROM `tabThing`"))
