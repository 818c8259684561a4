"""Acknowledging webhooks on a real site, endpoint by endpoint: ratios within one run; medians.

From the bench's sites folder: ../env/bin/python -m benchmarks.endpoints_on_site SITE  (this checkout on PYTHONPATH).
It makes an integration of its own and takes it away. The bench's workers should rest meanwhile.
"""

from __future__ import annotations

import json
import statistics
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import frappe

from benchmarks.driver import connector
from benchmarks.figures import ROUNDS, Figure, percentiles, say, size
from benchmarks.load import SECRET, load, server
from benchmarks.wsgi import serve_wsgi
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.sandbox.redis import free_port
from integration_hub.sandbox.sender import HEADER, sign

NAME = "hub-benchmark"
SECONDS, WORKERS = size(4, quick=1), 2
CONNECTIONS = (8, 50)
TABLE = "hub_benchmark_event"  # of the bare endpoint


def naive(**_: str) -> str:
	"""The endpoint as it is often written: look, insert a document, enqueue a job."""
	body = frappe.request.get_data()
	event = json.loads(body)
	if frappe.request.headers.get(HEADER) != sign(body, SECRET):
		frappe.throw("wrong", frappe.AuthenticationError)
	if not frappe.db.exists("Webhook Log", {"event_id": event["id"]}):
		log = {
			"doctype": "Webhook Log",
			"integration": NAME,
			"event_id": event["id"],
			"payload": body.decode(),
		}
		log |= {"event_key": event["id"], "status": "Completed"}
		frappe.get_doc(log).insert(ignore_permissions=True)
		frappe.enqueue("frappe.ping")
	return "ok"


def bare(connect: Callable[[], Any], mark: str) -> Callable[[dict, Callable], Iterable[bytes]]:
	"""Return an endpoint that does the least there is to do: HMAC, one insert, one commit."""
	local = threading.local()

	def application(environ: dict, start_response: Callable) -> Iterable[bytes]:
		body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
		if environ["HTTP_X_WEBHOOK_SIGNATURE"] != sign(body, SECRET):
			start_response("401 Unauthorized", [("Content-Length", "0")])
			return [b""]
		if not hasattr(local, "connection"):
			local.connection = connect()
		local.connection.cursor().execute(f"INSERT INTO {TABLE} (body) VALUES ({mark})", [body.decode()])
		local.connection.commit()
		start_response("200 OK", [("Content-Length", "2")])
		return [b"ok"]

	return application


def serve(site: str, kind: str, port: int) -> None:
	"""Serve one kind of endpoint: `frappe` (ping, naive, the site's endpoint), `receiver` or `bare`."""
	if kind == "frappe":
		serve_with_gunicorn(partial(application, site, kind), port)
		return
	if kind == "bare":
		serve_wsgi(partial(application, site, kind), port, WORKERS, 8)
		return
	from integration_hub.runtime.frappe.receiver import application as receiver
	from integration_hub.runtime.server import serve as run

	run(partial(receiver, site), "127.0.0.1", port, WORKERS, 8)


def serve_with_gunicorn(make_application: Callable, port: int) -> None:
	"""Serve as a bench in production does."""
	from gunicorn.app.base import BaseApplication

	class Server(BaseApplication):
		def load_config(self) -> None:
			options = {
				"bind": f"127.0.0.1:{port}",
				"workers": WORKERS,
				"worker_class": "gthread",
				"threads": 8,
			}
			for name, value in (options | {"keepalive": 15}).items():
				self.cfg.set(name, value)

		def load(self) -> Callable:
			return make_application()

	Server().run()


def application(site: str, kind: str) -> Callable:
	"""Return one kind of endpoint, `frappe` or `bare`, as a WSGI application."""
	if kind == "bare":
		frappe.init(site=site)
		return bare(*connector())
	from frappe import app
	from frappe.utils import background_jobs

	from integration_hub import api

	api.naive = frappe.whitelist(allow_guest=True, methods=["POST"])(naive)
	app._site = site
	# Nobody works meanwhile: without this, Frappe refuses the naive endpoint's jobs after 500 of them.
	background_jobs._check_queue_size = lambda queue: None
	return app.application


def measure(site: str, name: str, kind: str, path: str) -> list[Figure]:
	"""Return acknowledgements a second, and percentiles of the round in the middle, at few and many connections."""
	figures, port = [], free_port()
	command = [sys.executable, "-m", "benchmarks.endpoints_on_site", site, "serve", kind, str(port)]
	with server(command, port):
		for connections in CONNECTIONS:
			load(port, path, connections, SECONDS)  # warm
			rounds = [load(port, path, connections, SECONDS) for _ in range(ROUNDS)]
			at = f"{name}, {connections} connections"
			rate = statistics.median(len(took) for took in rounds) / SECONDS
			figures.append(Figure(at, rate, "acknowledgements/s"))
			middle = sorted(rounds, key=len)[len(rounds) // 2]
			figures += [Figure(f"{at}, {p}", ms, "ms", "lower") for p, ms in percentiles(middle).items()]
	return figures


_NUMBER = {
	"mariadb": "number BIGINT AUTO_INCREMENT",
	"postgres": "number BIGSERIAL",
	"sqlite": "number INTEGER",
}
_TEXT = {"mariadb": "LONGTEXT", "postgres": "TEXT", "sqlite": "TEXT"}


def clear() -> None:
	from frappe.utils.background_jobs import get_queue

	get_queue("default").empty()
	frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `{TABLE}`")
	frappe.db.delete("Webhook Log", {"integration": NAME})
	frappe.db.delete("Webhook Route", {"parent": NAME})
	frappe.delete_doc("Integration Settings", NAME, ignore_missing=True, force=True)
	frappe.db.commit()


def prepare() -> None:
	"""Make an integration that takes every event."""
	clear()
	settings = {
		"doctype": "Integration Settings",
		"integration_name": NAME,
		"base_url": "https://example.com",
	}
	settings |= {"webhook_enabled": 1, "webhook_secret": SECRET, "signature_header": HEADER}
	frappe.get_doc(settings).insert()
	route = {"doctype": "Webhook Route", "parent": NAME, "parenttype": "Integration Settings"}
	route |= {"parentfield": "routes", "event_pattern": "*", "action": "Call Function", "handler": "nothing"}
	frappe.get_doc(route).db_insert()
	frappe.db.commit()
	FrappeRuntime().drain_begins(NAME)  # of an earlier benchmark, whose drain nobody has begun


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	prepare()
	frappe.db.sql_ddl(
		f"CREATE TABLE {TABLE} ({_NUMBER[frappe.db.db_type]} PRIMARY KEY, body {_TEXT[frappe.db.db_type]})"
	)
	frappe.db.commit()
	api = "/api/method"
	endpoints = (
		("frappe.ping", "frappe", f"{api}/frappe.ping"),
		("naive endpoint", "frappe", f"{api}/integration_hub.api.naive"),
		("site's endpoint", "frappe", f"{api}/integration_hub.api.webhook/{NAME}"),
		("receiver", "receiver", f"/webhooks/{NAME}"),
		("bare WSGI", "bare", "/"),
	)
	try:
		figures = [figure for endpoint in endpoints for figure in measure(site, *endpoint)]
	finally:
		frappe.db.rollback()
		clear()
	rates = {figure.name: figure.value for figure in figures}
	few, many = (f"{count} connections" for count in CONNECTIONS)
	for ours, theirs, at in (
		("site's endpoint", "frappe.ping", few),
		("site's endpoint", "frappe.ping", many),
		("receiver", "naive endpoint", few),
		("receiver", "naive endpoint", many),
		("receiver", "bare WSGI", few),
	):
		figures.append(
			Figure(f"{ours} / {theirs}, {at}", rates[f"{ours}, {at}"] / rates[f"{theirs}, {at}"], "×")
		)
	say(figures)


if __name__ == "__main__":
	if sys.argv[2:3] == ["serve"]:
		serve(sys.argv[1], sys.argv[3], int(sys.argv[4]))
	else:
		main(sys.argv[1])
