"""Receiver, workers and consumer killed at random instants under load, their Redis stopped and started."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest.mock import patch

import frappe
import redis
import requests

from integration_hub.queues.consumer import consumer_for
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.sandbox import sender
from integration_hub.sandbox.redis import free_port, redis_server
from integration_hub.tests.support import HubTestCase
from integration_hub.webhooks.drain import drain, sweep

SECONDS = 25

_WORKER = """
import sys, time
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.tests import test_crashes_on_site
from integration_hub.webhooks.drain import drain
FrappeRuntime.handlers = lambda _: test_crashes_on_site.HANDLERS
with FrappeRuntime.opened(sys.argv[1]) as runtime:
	while True:
		drain(runtime, "crm")
		time.sleep(0.02)
"""


def count(payload: dict, event: dict) -> None:
	"""An effect that shows if it happens twice."""
	frappe.get_doc({"doctype": "ToDo", "description": payload["id"]}).insert(ignore_permissions=True)


HANDLERS = {"count": f"{__name__}.count"}


class Killed:
	"""A command that is started again each time it is killed."""

	def __init__(self, command: list[str]):
		self.command, self.process, self.kills = command, None, -1
		self.start()

	def start(self) -> None:
		self.kills += 1
		self.process = subprocess.Popen(
			self.command,
			cwd=frappe.local.sites_path,
			stdout=subprocess.DEVNULL,
			stderr=subprocess.DEVNULL,
			start_new_session=True,
		)

	def kill(self) -> None:
		os.killpg(self.process.pid, signal.SIGKILL)  # a server's own processes too
		self.process.wait()


class TestCrashes(HubTestCase):
	def test_everything_acknowledged_is_handled_and_its_effect_there_once(self):
		if frappe.db.db_type == "sqlite":
			self.skipTest("one writer at a time: what is shown here is shown on MariaDB")
		queue_port, receiver_port = free_port(), free_port()
		self.prepare(f"redis://127.0.0.1:{queue_port}/0")
		site = frappe.local.site
		hub = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", site, "integration-hub"]
		worker = [sys.executable, "-c", _WORKER, site]
		consume = [*hub, "consume", "crm", "--name", "one"]
		until, acknowledged, queued = time.monotonic() + SECONDS, [], []
		endpoint = f"http://127.0.0.1:{receiver_port}/webhooks/crm"
		senders = [
			threading.Thread(target=post, args=(endpoint, lane, until, acknowledged)) for lane in range(3)
		]
		senders.append(threading.Thread(target=push, args=(queue_port, until, queued)))
		commands = ([*hub, "serve", "--port", str(receiver_port)], worker, worker, consume)
		processes = [Killed(command) for command in commands]
		with tempfile.TemporaryDirectory() as folder:
			try:
				for thread in senders:
					thread.start()
				disturb(processes, queue_port, Path(folder), until)
			finally:
				for thread in senders:
					thread.join()
				for process in processes:
					process.kill()
			self.assertGreater(min(process.kills for process in processes), 0)
			with redis_server(queue_port, Path(folder)):
				self.runtime.handlers = lambda: HANDLERS
				consumer_for(self.runtime, "crm", "one").drain()
				self.handle_the_rest()
		self.assertGreater(len(acknowledged), 50)
		self.assertGreater(len(queued), 50)
		effects = frappe.get_all("ToDo", pluck="description")
		self.assertEqual(len(effects), len(set(effects)), "once")
		self.assertEqual(set(acknowledged) - set(effects), set(), "acknowledged and lost")
		self.assertEqual(set(queued) - set(effects), set(), "taken off the queue and lost")
		print(
			f"\n{len(acknowledged)} acknowledged, {len(queued)} queued, kills: {[p.kills for p in processes]}"
		)

	def prepare(self, queue_url: str) -> None:
		frappe.db.delete("ToDo")
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"queue_enabled": 1, "queue_url": queue_url, "queue_name": "hub_test_events"})
		doc.routes = []
		with patch.object(FrappeRuntime, "handlers", lambda _: HANDLERS):
			doc.append("routes", {"event_pattern": "*", "action": "Call Function", "handler": "count"})
			doc.save()
		frappe.db.commit()

	def handle_the_rest(self) -> None:
		"""What killed workers held is taken up with the next sweep; then all retries are made due."""
		sweep(self.runtime)
		frappe.db.sql(
			"UPDATE `tabWebhook Log` SET `next_attempt_at` = '2000-01-01' WHERE `status` = 'Failed'"
		)
		frappe.db.commit()
		drain(self.runtime, "crm")
		states = set(frappe.get_all("Webhook Log", pluck="status"))
		self.assertEqual(states, {"Completed"})


def post(endpoint: str, lane: int, until: float, acknowledged: list[str]) -> None:
	"""Send events, each until it is acknowledged."""
	number = 0
	while time.monotonic() < until:
		number += 1
		name = f"http-{lane}-{number}"
		body = json.dumps({"id": name, "event": "x"}).encode()
		while time.monotonic() < until:
			try:
				answer = requests.post(
					endpoint, data=body, headers={sender.HEADER: sender.sign(body)}, timeout=10
				)
			except requests.RequestException:
				time.sleep(0.05)
				continue
			if answer.status_code == 200:
				acknowledged.append(name)
				break
		time.sleep(0.01)


def push(port: int, until: float, queued: list[str]) -> None:
	"""Put messages on the list; what Redis did not confirm does not count."""
	client = redis.Redis(port=port)
	number = 0
	while time.monotonic() < until:
		number += 1
		name = f"queue-{number}"
		try:
			client.lpush("hub_test_events", json.dumps({"id": name, "type": "x"}))
			queued.append(name)
		except redis.RedisError:
			time.sleep(0.05)
		time.sleep(0.02)


def disturb(processes: list[Killed], queue_port: int, folder: Path, until: float) -> None:
	dice, victims = random.Random(), []
	while time.monotonic() < until:
		with redis_server(queue_port, folder):
			stop = min(time.monotonic() + dice.uniform(5, 8), until)
			while time.monotonic() < stop:
				time.sleep(dice.uniform(0.7, 1.7))
				victims = victims or dice.sample(processes, len(processes))
				process = victims.pop()
				process.kill()
				process.start()
		time.sleep(0.5)
