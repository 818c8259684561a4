"""Acknowledging webhooks on a real site, door by door: ratios within one run; medians.

From the bench's sites folder: ../env/bin/python -m benchmarks.inbox_doors SITE  (this checkout on PYTHONPATH).
It makes an integration of its own and takes it away. The bench's workers should rest meanwhile.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from itertools import chain, count, islice

import frappe

from integration_hub.sandbox.redis import free_port
from integration_hub.sandbox.sender import HEADER, sign

NAME, SECRET = "hub-benchmark", "benchmark-secret"
SECONDS, ROUNDS, WORKERS = 4.0, 3, 2
CONNECTIONS, MANY = 8, 50


def naive(**_: str) -> str:
	"""The door as it is often written: look, insert a document, enqueue a job."""
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


def serve(site: str, kind: str, port: int) -> None:
	"""Serve one kind of door: `frappe` (ping, naive, the site's own door) or `receiver`."""
	from integration_hub.homes.server import serve as run

	def application():
		if kind == "receiver":
			from integration_hub.homes.site.door import SiteDoor
			from integration_hub.webhooks.receiver import receiver

			return receiver(SiteDoor(site))
		import frappe.app
		import frappe.utils.background_jobs

		import integration_hub.api

		integration_hub.api.naive = frappe.whitelist(allow_guest=True, methods=["POST"])(naive)
		frappe.app._site = site
		# Nobody works meanwhile: without this, Frappe refuses the naive door's jobs after 500 of them.
		frappe.utils.background_jobs._check_queue_size = lambda queue: None
		return frappe.app.application

	run(application, "127.0.0.1", port, WORKERS, 8)


@contextmanager
def server(site: str, kind: str):
	port = free_port()
	command = [sys.executable, "-m", "benchmarks.inbox_doors", site, "serve", kind, str(port)]
	process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	try:
		while True:
			try:
				socket.create_connection(("127.0.0.1", port), 1).close()
				break
			except OSError:
				time.sleep(0.1)
		time.sleep(2)
		yield port
	finally:
		process.terminate()
		process.wait()


def request(path: str, number: str) -> bytes:
	body = json.dumps({"id": number, "event": "x", "data": {"name": "Customer", "city": "Pune"}}).encode()
	lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
	lines += [f"{HEADER}: {sign(body, SECRET)}", f"Content-Length: {len(body)}", "", ""]
	return "\r\n".join(lines).encode() + body


def load(port: int, path: str, connections: int) -> tuple[float, float]:
	"""Post distinct events over some connections for a while; return requests a second and p99 in ms.

	One thread and requests made beforehand: the client shares the machine's processors with the server.
	"""
	run = str(time.time_ns())
	requests = (request(path, f"{run}-{number}") for number in count())
	ready = list(islice(requests, int(SECONDS * 3000)))
	requests = chain(ready, requests)
	took: list[float] = []
	with selectors.DefaultSelector() as selector, ExitStack() as stack:
		for _ in range(connections):
			connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
			selector.register(connection, selectors.EVENT_READ, [time.monotonic(), b""])
			connection.sendall(next(requests))
		until = time.monotonic() + SECONDS
		while time.monotonic() < until:
			for lane, _ in selector.select(1):
				lane.data[1] += lane.fileobj.recv(65536)
				if not complete(lane.data[1]):
					continue
				assert lane.data[1].split(b" ", 2)[1] in (b"200", b"202"), lane.data[1][:300]
				now = time.monotonic()
				took.append(now - lane.data[0])
				lane.data[:] = [now, b""]
				lane.fileobj.sendall(next(requests))
	return len(took) / SECONDS, sorted(took)[int(len(took) * 0.99)] * 1000


def complete(answer: bytes) -> bool:
	head, found, body = answer.partition(b"\r\n\r\n")
	if not found:
		return False
	headers = (line.partition(b":") for line in head.split(b"\r\n")[1:])
	return len(body) >= next(int(value) for name, _, value in headers if name.lower() == b"content-length")


def measure(site: str, kind: str, path: str, connections: int = CONNECTIONS) -> tuple[float, float]:
	with server(site, kind) as port:
		load(port, path, connections)  # warm
		results = [load(port, path, connections) for _ in range(ROUNDS)]
	return statistics.median(r[0] for r in results), statistics.median(r[1] for r in results)


def clear() -> None:
	from frappe.utils.background_jobs import get_queue

	get_queue("default").empty()
	frappe.db.delete("Webhook Log", {"integration": NAME})
	frappe.db.delete("Webhook Route", {"parent": NAME})
	frappe.delete_doc("Integration Settings", NAME, ignore_missing=True, force=True)
	frappe.db.commit()


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
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
	api = "/api/method"
	try:
		results = {
			"frappe.ping": measure(site, "frappe", f"{api}/frappe.ping"),
			"naive door": measure(site, "frappe", f"{api}/integration_hub.api.naive"),
			"site's own door": measure(site, "frappe", f"{api}/integration_hub.api.webhook/{NAME}"),
			"receiver": measure(site, "receiver", f"/webhooks/{NAME}"),
			f"receiver, {MANY} connections": measure(site, "receiver", f"/webhooks/{NAME}", MANY),
		}
	finally:
		frappe.db.rollback()
		clear()
	for name, (rate, p99) in results.items():
		print(f"{name:<28} {rate:>7,.0f} req/s   p99 {p99:>6.1f} ms")
	own = results["site's own door"][0]
	print(f"site's own door / frappe.ping  {own / results['frappe.ping'][0]:.2f}")
	print(f"receiver / naive door          {results['receiver'][0] / results['naive door'][0]:.1f}")


if __name__ == "__main__":
	if sys.argv[2:3] == ["serve"]:
		serve(sys.argv[1], sys.argv[3], int(sys.argv[4]))
	else:
		main(sys.argv[1])
