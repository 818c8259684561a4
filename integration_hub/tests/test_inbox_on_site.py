"""Events through the site's endpoint and from Redis, handled by a real worker."""

import json
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import frappe
import redis
import requests
from frappe.utils.background_jobs import get_queue

from integration_hub import jobs
from integration_hub.api import replay_events
from integration_hub.sandbox import sender
from integration_hub.stores import inbox
from integration_hub.sync.run import run_stream
from integration_hub.tests.support import HubTestCase, errors, site_endpoint, work


class TestInbox(HubTestCase):
	def statuses(self) -> dict[str, int]:
		frappe.db.commit()
		found: dict[str, int] = {}
		for status in frappe.get_all("Webhook Log", pluck="status"):
			found[status] = found.get(status, 0) + 1
		return found

	def test_an_event_is_verified_logged_once_and_handled_once(self):
		delivery = sender.make("customer.created", self.crm.customers.alive()[0])
		with site_endpoint() as endpoint:
			answers = [sender.send(endpoint, delivery) for _ in range(3)]
		self.assertEqual([a.json()["status"] for a in answers], ["received", "duplicate", "duplicate"])
		self.assertEqual({a.status_code for a in answers}, {200})
		work()
		self.assertEqual(self.statuses(), {"Completed": 1})
		log = frappe.get_last_doc("Webhook Log")
		self.assertEqual((log.attempts, log.deliveries, log.door), (1, 3, "HTTP"))
		made = frappe.get_doc(log.reference_doctype, log.reference_name)
		self.assertEqual(made.customer_id, "CUST-000001")

	def test_32_posts_of_one_event_at_once_make_one_row(self):
		delivery = sender.make("customer.created", self.crm.customers.alive()[0])
		with site_endpoint() as endpoint, ThreadPoolExecutor(8) as pool:
			answers = list(
				pool.map(lambda _: sender.send(endpoint, delivery, timeout=60).json()["status"], range(32))
			)
		self.assertEqual(sorted(set(answers)), ["duplicate", "received"])
		self.assertEqual(answers.count("received"), 1)
		work()
		self.assertEqual(self.statuses(), {"Completed": 1})
		self.assertEqual(frappe.db.count("Sandbox Customer"), 1)

	def test_changes_by_webhook_alone_keep_the_target_equal(self):
		run_stream(self.runtime, "customers-full")
		before = self.crm.customers.counts()["changes"]
		self.crm.change(create=3, update=10, delete=3)
		changes = self.crm.customers.changes(before, 100)[0]
		with site_endpoint() as endpoint:
			for entry in changes:
				sender.send(endpoint, sender.make(f"customer.{entry['type']}", entry["record"]))
		work()
		self.assertEqual(self.statuses(), {"Completed": len(changes)})
		self.assertSame("full")

	def test_what_is_not_accepted_is_told_why_and_changes_nothing(self):
		body = b'{"id": "e1", "event": "customer.created"}'
		signed = {sender.HEADER: sender.sign(body)}
		json_type = {"Content-Type": "application/json"}
		frappe.db.set_value("Integration Settings", "crm", "webhook_secret_old", None)
		frappe.db.commit()
		with site_endpoint() as endpoint:
			for url, data, headers, status, reason in (
				(endpoint, body, {}, 401, "signature_missing"),
				(endpoint, body, {sender.HEADER: "00"}, 401, "signature_wrong"),
				(endpoint.replace("/crm", "/nosuch"), body, signed, 404, "unknown_integration"),
				(endpoint, b"{no json", {sender.HEADER: sender.sign(b"{no json")}, 400, "body_not_json"),
				(endpoint, b'{"cmd": "frappe.ping"}', json_type, 401, "signature_missing"),
				(endpoint, body, {"Authorization": "token a:b", **json_type}, 401, "signature_missing"),
				(endpoint + "?x=1&cmd=frappe.ping", body, json_type, 401, "signature_missing"),
			):
				answer = requests.post(url, data=data, headers=headers, timeout=30)
				self.assertEqual((answer.status_code, answer.json()["status"]), (status, reason))
			answer = requests.get(endpoint, timeout=30)
			self.assertEqual((answer.status_code, answer.json()["status"]), (405, "method_not_allowed"))
		self.assertEqual(self.statuses(), {})

	def test_a_senders_own_authorization_header_is_no_obstacle(self):
		delivery = sender.make("customer.created", self.crm.customers.alive()[0])
		with site_endpoint() as endpoint:
			for value in ("Bearer x", "token a:b", "Basic eDp5", "x y"):
				headers = {**delivery.headers, "Authorization": value}
				answer = requests.post(endpoint, data=delivery.body, headers=headers, timeout=30)
				self.assertEqual(answer.status_code, 200)

	def test_an_unknown_event_waits_and_is_replayed_by_a_person(self):
		with site_endpoint() as endpoint:
			answer = sender.send(endpoint, sender.make("order.placed", {"id": "O-1"}))
		self.assertEqual((answer.status_code, answer.json()["status"]), (202, "unrouted"))
		name = frappe.get_last_doc("Webhook Log").name
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.append(
			"routes", {"event_pattern": "order.*", "action": "Start Sync", "stream": "customers-cursor"}
		)
		doc.save()
		frappe.db.commit()
		self.assertEqual(replay_events([name]), 1)
		work()
		jobs.sync_due_streams()  # the tick takes up what the event asked for
		work()
		self.assertEqual(self.statuses(), {"Completed": 1})
		self.assertSame("cursor")

	def test_a_failing_event_is_tried_again_later(self):
		record = {**self.crm.customers.alive()[0], "credit_limit": "a lot"}
		with site_endpoint() as endpoint:
			sender.send(endpoint, sender.make("customer.created", record))
		work()
		log = frappe.get_last_doc("Webhook Log")
		self.assertEqual((log.status, log.attempts), ("Failed", 1))
		self.assertIn("credit_limit", log.error)
		[error] = errors()
		self.assertEqual(error.webhook_log, log.name)

	def test_the_sweep_takes_up_what_was_never_enqueued(self):
		delivery = sender.make("customer.created", self.crm.customers.alive()[0])
		with site_endpoint() as endpoint:
			sender.send(endpoint, delivery)
		get_queue("default").empty()  # as if Redis had been lost
		work()
		self.assertEqual(self.statuses(), {"Queued": 1})
		jobs.sweep_webhook_inbox()
		work()
		self.assertEqual(self.statuses(), {"Completed": 1})

	def test_a_long_queue_does_not_keep_another_integration_waiting(self):
		client = redis.from_url(frappe.conf.redis_queue)
		crm = frappe.get_doc("Integration Settings", "crm")
		crm.update({"queue_enabled": 1, "queue_url": frappe.conf.redis_queue, "queue_name": "hub_test_long"})
		crm.save()
		other = frappe.copy_doc(crm).update({"integration_name": "other", "queue_name": "hub_test_short"})
		other.queue_url = frappe.conf.redis_queue
		other.insert()
		frappe.db.commit()
		self.addCleanup(client.delete, "hub_test_long", "hub_test_short")
		message = json.dumps({"type": "x"})
		client.lpush("hub_test_long", *[message] * 20_000)
		client.lpush("hub_test_short", *[message] * 3)
		with patch.object(jobs, "QUEUE_SECONDS", 0.5):
			jobs.drain_external_queues()
		self.assertEqual(inbox.counts(self.runtime, "other"), {"Unrouted": 3})
		self.assertGreater(client.llen("hub_test_long"), 0, "it is not taken to its end first")
		jobs.drain_external_queues()
		self.assertEqual(inbox.counts(self.runtime, "crm"), {"Unrouted": 20_000})
		self.assertEqual(client.keys("hub_test_*"), [])

	def test_messages_of_a_redis_list_reach_the_same_inbox(self):
		url = frappe.conf.redis_queue  # any Redis will do
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update({"queue_enabled": 1, "queue_url": url, "queue_name": "hub_test_events"})
		doc.save()
		frappe.db.commit()
		client = redis.from_url(url)
		client.set("hub_test_events", "no list")
		jobs.drain_external_queues()
		trouble = {"operation": "Queue", "integration": "crm"}
		self.assertEqual(frappe.get_all("Integration Error Log", trouble, pluck="status"), ["Open"])
		client.delete("hub_test_events")
		for customer in self.crm.customers.alive()[:5]:
			message = {"id": customer["id"], "type": "customer.created", "data": customer}
			client.lpush("hub_test_events", json.dumps(message), json.dumps(message))
		jobs.drain_external_queues()
		self.assertEqual(frappe.get_all("Integration Error Log", trouble, pluck="status"), ["Resolved"])
		work()
		self.assertEqual(self.statuses(), {"Completed": 5})
		self.assertEqual(frappe.db.count("Sandbox Customer"), 5)
		self.assertEqual(client.keys("hub_test_events*"), [])
