"""What handlers may do on a site, many events and drains at once, and every request that may arrive."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import pairwise
from unittest.mock import patch
from urllib.parse import urlencode

import frappe
import requests
from frappe.model.document import Document
from frappe.utils.background_jobs import get_queue
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from integration_hub.api import choices, preview_replay, replay_since
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.frappe.receiver import ThreadRuntimes
from integration_hub.sandbox import sender
from integration_hub.stores import claims, inbox
from integration_hub.tests.support import (
	HubTestCase,
	connection_number,
	cut,
	errors,
	forget_jobs,
	site_endpoint,
)
from integration_hub.webhooks import Defer
from integration_hub.webhooks.drain import drain, sweep
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.receiver import receiver

ROUNDS = {"mariadb": 50}  # others: SQLite takes one writer at a time
HANDLED: list[str] = []
AFTER_COMMIT: list[str] = []
USERS: list[str] = []


def note(payload: dict, event: dict) -> None:
	"""Registered by the tests as a handler: writes a row, and does what the payload asks for."""
	name, does = payload["id"], payload.get("does")
	HANDLED.append(name)
	todo = {"doctype": "ToDo", "description": name}
	frappe.get_doc(todo).insert(ignore_permissions=True)
	frappe.db.after_commit.add(lambda: AFTER_COMMIT.append(name))
	if does == "fail":
		raise ValueError("as it was asked to")
	if does == "defer":
		raise Defer(60)
	if does in ("commit", "commit and die"):
		frappe.db.commit()
		frappe.get_doc({"doctype": "ToDo", "description": f"{name} after"}).insert(ignore_permissions=True)
	if does == "commit and die":
		raise KeyboardInterrupt
	if does == "rollback":
		frappe.db.rollback()
	if does == "lose its connection" and HANDLED.count(name) == 1:
		cut(connection_number())
	if does == "swallow an error":
		with suppress(Exception):
			frappe.db.sql("SELECT `nothing` FROM `tabToDo`")
	if does == "become another":
		frappe.set_user("Guest")
	USERS.append(frappe.session.user)


def commit(doc: Document) -> None:
	"""A controller that commits where it should not."""
	frappe.db.commit()


class TestHandling(HubTestCase):
	def setUp(self):
		super().setUp()
		HANDLED.clear()
		AFTER_COMMIT.clear()
		frappe.db.delete("ToDo")
		self.enterContext(patch.object(FrappeRuntime, "handlers", lambda _: {"note": f"{__name__}.note"}))
		self.route({"action": "Call Function", "handler": "note"})

	def enterContext(self, context):  # Python 3.10 has none
		stack = ExitStack()
		self.addCleanup(stack.close)
		return stack.enter_context(context)

	def route(self, route: dict, **fields: str) -> None:
		doc = frappe.get_doc("Integration Settings", "crm")
		doc.update(fields)
		doc.routes = []
		doc.append("routes", {"event_pattern": "*", **route})
		doc.save()
		frappe.db.commit()

	def put(self, *events: dict) -> None:
		for event in events:
			body = json.dumps({"event": "x", **event}).encode()
			headers = {sender.HEADER.lower(): sender.sign(body)}
			answer = receive(self.runtime, Request("crm", "POST", headers, body))
			self.assertEqual(answer.status, 200)

	def states(self) -> dict[str, str]:
		frappe.db.commit()
		rows = frappe.get_all("Webhook Log", fields=["event_id", "status"])
		return {row.event_id: row.status for row in rows}

	def todos(self) -> list[str]:
		frappe.db.commit()
		return sorted(frappe.get_all("ToDo", pluck="description"))

	def test_a_failure_among_others_undoes_itself_alone_with_what_was_to_follow_it(self):
		self.put({"id": "a"}, {"id": "b", "does": "fail"}, {"id": "c"}, {"id": "d", "does": "defer"})
		done = drain(self.runtime, "crm")
		self.assertEqual((done.completed, done.failed, done.deferred), (2, 1, 1))
		self.assertEqual(self.todos(), ["a", "c"])
		self.assertEqual(AFTER_COMMIT, ["a", "c"])
		self.assertEqual(self.states(), {"a": "Completed", "b": "Failed", "c": "Completed", "d": "Queued"})

	def test_a_handler_that_commits_commits_what_was_done_before_it_with_its_end(self):
		self.put({"id": "a"}, {"id": "b"}, {"id": "c", "does": "commit and die"})
		with self.assertRaises(KeyboardInterrupt):
			drain(self.runtime, "crm")
		self.assertEqual(self.todos(), ["a", "b", "c"])
		self.assertEqual(self.states(), {"a": "Completed", "b": "Completed", "c": "Processing"})

	def test_a_handler_that_commits_is_completed(self):
		self.put(
			{"id": "a"},
			{"id": "b", "does": "commit"},
			{"id": "c", "does": "commit"},
			{"id": "d", "does": "fail"},
		)
		drain(self.runtime, "crm")
		self.assertEqual(self.todos(), ["a", "b", "b after", "c", "c after"])
		self.assertEqual(self.states(), {"a": "Completed", "b": "Completed", "c": "Completed", "d": "Failed"})

	def test_a_handler_that_rolls_back_loses_nothing_of_the_others(self):
		self.put({"id": "a"}, {"id": "b", "does": "rollback"}, {"id": "c"})
		drain(self.runtime, "crm")
		self.assertEqual(self.todos(), ["a", "c"])
		self.assertEqual(set(self.states().values()), {"Completed"})
		self.assertEqual(HANDLED, ["a", "b", "c", "a"], "what it undid is done again")

	def test_a_handler_that_loses_its_connection_is_handled_again(self):
		if frappe.db.db_type == "sqlite":
			self.skipTest("a file has no connection to lose")
		self.put({"id": "a"}, {"id": "b", "does": "lose its connection"}, {"id": "c"})
		drain(self.runtime, "crm")
		self.assertEqual(self.todos(), ["a", "b", "c"])
		self.assertEqual(set(self.states().values()), {"Completed"})

	def test_an_error_of_the_database_that_a_handler_swallows_harms_nobody_else(self):
		self.put({"id": "a"}, {"id": "b", "does": "swallow an error"}, {"id": "c"})
		drain(self.runtime, "crm")
		# Postgres undoes the transaction with its first error, even if it is caught.
		b = "Failed" if frappe.db.db_type == "postgres" else "Completed"
		self.assertEqual(self.states(), {"a": "Completed", "b": b, "c": "Completed"})
		self.assertEqual(self.todos(), ["a", "c"] if b == "Failed" else ["a", "b", "c"])
		self.assertEqual(HANDLED, ["a", "b", "c"], "each once")

	def test_a_server_script_handles_events(self):
		script = frappe.get_doc(
			{
				"doctype": "Server Script",
				"name": "hub-test",
				"script_type": "API",
				"api_method": "hub_test",
				"script": """
if payload.get("later"):
	defer(30)
frappe.get_doc({"doctype": "ToDo", "description": payload["id"] + event.event_type}).insert()
if payload.get("fail"):
	frappe.throw("as it was asked to")
""",
			}
		)
		with patch("frappe.utils.safe_exec.is_safe_exec_enabled", return_value=True):
			frappe.delete_doc("Server Script", "hub-test", ignore_missing=True, force=True)
			script.insert()
			self.addCleanup(
				lambda: (frappe.delete_doc("Server Script", "hub-test", force=True), frappe.db.commit())
			)
			self.route({"action": "Run Server Script", "server_script": "hub-test"})
			self.put({"id": "a"}, {"id": "b", "fail": 1}, {"id": "c", "later": 1})
			drain(self.runtime, "crm")
			self.assertEqual(self.todos(), ["ax"])
			self.assertEqual(self.states(), {"a": "Completed", "b": "Failed", "c": "Queued"})
			frappe.db.set_value("Server Script", "hub-test", "disabled", 1)
			self.put({"id": "d"})
			drain(self.runtime, "crm")
			self.assertIn("is disabled", frappe.get_last_doc("Webhook Log", {"event_id": "d"}).error)
			with self.assertRaisesRegex(frappe.ValidationError, "is disabled"):
				self.route({"action": "Run Server Script", "server_script": "hub-test"})
			frappe.db.rollback()
		with patch("frappe.utils.safe_exec.is_safe_exec_enabled", return_value=False):
			self.put({"id": "e"})
			drain(self.runtime, "crm")
		self.assertIn(
			"server scripts are disabled", frappe.get_last_doc("Webhook Log", {"event_id": "e"}).error
		)

	def test_drains_in_parallel_keep_the_order_of_each_key(self):
		self.route({"action": "Call Function", "handler": "note"}, ordering_key_path="key")
		self.put(*({"id": f"{key}{n:02}", "key": key} for n in range(15) for key in "abcd"))
		site, spans, lock = frappe.local.site, [], threading.Lock()
		barrier = threading.Barrier(4)

		def slow(payload: dict, event: dict) -> None:
			begun = time.monotonic()
			time.sleep(0.002)
			with lock:
				spans.append((payload["key"], payload["id"], begun, time.monotonic()))

		def work(_: int) -> int:
			with FrappeRuntime.opened(site) as runtime:
				runtime.handlers = lambda: {"note": f"{__name__}.note"}
				barrier.wait()
				done = 0
				for _ in range(40):
					done += drain(runtime, "crm").completed
					time.sleep(0.01)
				return done

		self.enterContext(patch(f"{__name__}.note", slow))
		self.enterContext(patch("integration_hub.webhooks.drain.CLAIMED_AT_ONCE", 7))
		with ThreadPoolExecutor(4) as pool:
			shares = list(pool.map(work, range(4)))
		self.assertEqual(sum(shares), 60)
		for key in "abcd":
			mine = [span for span in spans if span[0] == key]
			self.assertEqual([span[1] for span in mine], [f"{key}{n:02}" for n in range(15)])
			for before, after in pairwise(mine):
				self.assertLessEqual(before[3], after[2], "one at a time")

	def test_what_waits_for_a_retry_takes_no_worker(self):
		def waiting() -> int:
			site = frappe.local.site
			return len([job for job in get_queue("default").get_jobs() if job.kwargs.get("site") == site])

		self.route({"action": "Call Function", "handler": "note"}, ordering_key_path="key")
		self.put({"id": "a1", "key": "a", "does": "fail"})
		drain(self.runtime, "crm")
		forget_jobs()
		self.runtime.drain_begins("crm")
		self.put({"id": "a2", "key": "a"}, {"id": "a3", "key": "a"})
		self.assertEqual((sweep(self.runtime), waiting()), ([], 0))
		self.put({"id": "b1", "key": "b"})
		self.assertEqual(waiting(), 1)
		drain(self.runtime, "crm")
		self.assertEqual(self.todos(), ["b1"])
		frappe.db.set_value("Webhook Log", {"event_id": "a1"}, "next_attempt_at", self.runtime.now())
		frappe.db.commit()
		self.assertEqual(sweep(self.runtime), ["crm"])

	def test_a_claim_of_large_events_is_no_more_than_can_be_in_memory(self):
		text = "x" * 1_000_000
		self.put(*({"id": f"e{number:02}", "text": text} for number in range(12)))
		claimed = claims.claim_due(self.runtime, "crm", 100)
		self.assertTrue(1 < len(claimed) < 10, len(claimed))
		self.assertEqual({len(json.loads(row["payload"])["text"]) for row in claimed}, {len(text)})
		claims.give_back(self.runtime, claimed)
		drain(self.runtime, "crm")
		self.assertEqual(HANDLED, [f"e{number:02}" for number in range(12)])

	def test_32_posts_of_one_event_at_once_many_times(self):
		rounds = ROUNDS.get(frappe.db.db_type, 3)
		with site_endpoint() as endpoint, ThreadPoolExecutor(32) as pool:
			for number in range(rounds):
				delivery = sender.make("x", {"n": number})
				sent = pool.map(
					lambda _, d=delivery: sender.send(endpoint, d, timeout=120).json()["status"], range(32)
				)
				answers = sorted(sent)
				self.assertEqual(answers, ["duplicate"] * 31 + ["received"])
		frappe.db.commit()
		rows = frappe.get_all("Webhook Log", fields=["deliveries"])
		self.assertEqual([row.deliveries for row in rows], [32] * rounds)
		with patch(f"{__name__}.note", lambda payload, event: HANDLED.append(event["name"])):
			drain(self.runtime, "crm")
		self.assertEqual((len(HANDLED), len(set(HANDLED))), (rounds, rounds))

	def test_a_form_keeps_the_bytes_that_were_signed(self):
		body = urlencode(
			{"id": "e1", "event": "sms", "text": "Grüße & mehr", "tag": ["a", "b"]}, doseq=True
		).encode()
		headers = {sender.HEADER: sender.sign(body), "Content-Type": "application/x-www-form-urlencoded"}
		with site_endpoint() as endpoint:
			answer = requests.post(f"{endpoint}?cmd=frappe.ping", data=body, headers=headers, timeout=30)
		self.assertEqual((answer.status_code, answer.json()), (200, {"status": "received"}))
		frappe.db.commit()
		payload = json.loads(frappe.get_last_doc("Webhook Log").payload)
		self.assertEqual(payload, {"id": "e1", "event": "sms", "text": "Grüße & mehr", "tag": ["a", "b"]})

	def test_a_handshake_is_answered_at_the_sites_own_endpoint(self):
		self.route(
			{"action": "Call Function", "handler": "note"}, webhook_scheme="Meta", webhook_verify_token="vt"
		)
		query = {"hub.mode": "subscribe", "hub.challenge": "<b>1</b>", "hub.verify_token": "vt"}
		with site_endpoint() as endpoint:
			answer = requests.get(endpoint, params=query, timeout=30)
			self.assertEqual((answer.status_code, answer.text), (200, "<b>1</b>"))
			self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
			self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
			answer = requests.get(endpoint, params={**query, "hub.verify_token": "guess"}, timeout=30)
			self.assertEqual((answer.status_code, answer.json()), (401, {"status": "signature_wrong"}))

	def test_the_receiver_survives_lost_connections(self):
		if frappe.db.db_type == "sqlite":
			self.skipTest("a file has no connection to lose")
		client, answers = Client(receiver(ThreadRuntimes(frappe.local.site))), []

		def post(number: int) -> int:
			body = json.dumps({"id": f"e{number}", "event": "x"}).encode()
			answer = client.post("/webhooks/crm", data=body, headers={sender.HEADER: sender.sign(body)})
			answers.append((answer.status_code, answer.json["status"]))
			return connection_number()

		with ThreadPoolExecutor(1) as pool:
			for number in range(4):
				cut(pool.submit(post, number).result())
				if number == 1:
					time.sleep(1.2)  # idle long enough to be asked whether it is still there
			pool.submit(frappe.destroy).result()
		self.assertEqual(answers, [(200, "received")] * 4)
		self.assertEqual(len(self.states()), 4)

	def test_the_receiver_keeps_no_snapshot_when_it_rests(self):
		"""It may rest for a night, while the server throws away nothing that the snapshot shows."""
		client = Client(receiver(ThreadRuntimes(frappe.local.site)))
		self.route({"action": "Call Function", "handler": "note"}, ordering_key_path="customer")

		def post(number: int) -> int:
			body = json.dumps({"id": f"e{number}", "event": "x", "customer": "c"}).encode()
			return client.post(
				"/webhooks/crm", data=body, headers={sender.HEADER: sender.sign(body)}
			).status_code

		def forget() -> None:
			frappe.db.delete("Note", {"title": "after the event"})
			frappe.db.commit()

		self.addCleanup(forget)
		forget()

		def seen() -> int:
			return frappe.db.sql("SELECT COUNT(*) FROM `tabNote` WHERE `title` = 'after the event'")[0][0]

		with ThreadPoolExecutor(1) as pool:
			for number in range(3):  # the settings are read with the first one, and looked at again later
				self.assertEqual(pool.submit(post, number).result(), 200)
				frappe.get_doc({"doctype": "Note", "title": "after the event", "public": 1}).insert()
				frappe.db.commit()
				self.assertEqual(pool.submit(seen).result(), 1)
				forget()
				pool.submit(lambda: frappe.db.rollback()).result()
			pool.submit(frappe.destroy).result()

	def test_the_receiver_sees_changed_settings_within_a_second_or_so(self):
		client = Client(receiver(ThreadRuntimes(frappe.local.site)))
		body = b'{"id": "e1", "event": "x"}'

		def post() -> int:
			return client.post(
				"/webhooks/crm", data=body, headers={sender.HEADER: sender.sign(body)}
			).status_code

		with ThreadPoolExecutor(1) as pool:
			self.assertEqual(pool.submit(post).result(), 200)
			self.route({"action": "Call Function", "handler": "note"}, webhook_enabled=0)
			time.sleep(1.1)
			self.assertEqual(pool.submit(post).result(), 404)
			pool.submit(frappe.destroy).result()

	def test_any_request_that_reaches_the_app_gets_a_declared_answer(self):
		@settings(max_examples=60, deadline=None)
		@given(
			body=st.binary(max_size=60)
			| st.builds(lambda v: json.dumps(v).encode(), st.dictionaries(st.text(), st.text())),
			kind=st.sampled_from(["", "text/plain", "application/x-www-form-urlencoded", "a/b", "text/xml"]),
			signed=st.booleans(),
			method=st.sampled_from(["POST", "POST", "GET", "PUT", "DELETE"]),
			name=st.sampled_from(["crm", "crm", "nosuch", "", "crm/x", "%00"]),
			query=st.dictionaries(
				st.sampled_from(["cmd", "x", "crc_token", "hub.mode"]), st.text(max_size=10)
			),
			authorization=st.sampled_from(["", "Bearer x", "token a:b", "Basic eDp5"]),
		)
		def ask(body, kind, signed, method, name, query, authorization):
			headers = {"Content-Type": kind, sender.HEADER: sender.sign(body) if signed else "00"}
			if authorization:
				headers["Authorization"] = authorization
			url = endpoint.replace("/crm", f"/{name}")
			answer = session.request(method, url, params=query, data=body, headers=headers, timeout=30)
			self.assertIn(answer.status_code, (200, 202, 400, 401, 404, 405, 415))
			self.assertEqual(list(answer.json()), ["status"])

		with site_endpoint() as endpoint, requests.Session() as session:
			ask()

	def test_failed_events_are_replayed_by_who_may_write_the_settings(self):
		self.put({"id": "a", "does": "fail"}, {"id": "b"})
		drain(self.runtime, "crm")
		self.assertEqual(replay_since("crm"), 1)
		self.assertEqual(self.states(), {"a": "Queued", "b": "Completed"})
		self.assertEqual(replay_since("crm", since="2020-01-01", failed=False), 2)
		name = frappe.get_last_doc("Webhook Log").name
		self.assertEqual(preview_replay([name])[0]["does"], "Call Function: note")
		with self.set_user("Guest"):
			for call in (lambda: replay_since("crm"), lambda: preview_replay([name])):
				self.assertRaises(frappe.PermissionError, call)

	def test_a_preview_runs_controllers_and_leaves_nothing(self):
		record = self.crm.customers.alive()[0]
		self.route({"action": "Upsert Record", "stream": "customers-full", "record_path": "data"})
		self.put({"id": "a", "data": record})
		[effect] = preview_replay(inbox.select(self.runtime, integration="crm"))
		self.assertEqual(effect["does"], "Creates Sandbox Customer")
		self.assertEqual(effect["changes"]["customer_id"], (None, record["id"]))
		frappe.db.commit()
		self.assertEqual(frappe.db.count("Sandbox Customer"), 0)
		self.assertEqual(frappe.db.count("External Record"), 0)

	def test_a_preview_does_not_let_a_controller_commit(self):
		record = self.crm.customers.alive()[0]
		self.route({"action": "Upsert Record", "stream": "customers-full", "record_path": "data"})
		self.put({"id": "a", "data": record})
		names = inbox.select(self.runtime, integration="crm")
		with patch.object(Document, "after_insert", commit, create=True):
			[effect] = preview_replay(names)
		self.assertIn("could not undo", effect["does"])
		frappe.db.commit()
		self.assertEqual(frappe.db.count("Sandbox Customer"), 0)

	def test_a_user_that_a_handler_sets_is_not_that_of_the_next_event(self):
		USERS.clear()
		self.put({"id": "a"}, {"id": "b", "does": "become another"}, {"id": "c"})
		drain(self.runtime, "crm")
		self.assertEqual(USERS, ["Administrator", "Guest", "Administrator"])

	def test_an_integration_with_events_to_handle_is_not_deleted(self):
		self.put({"id": "a"})
		frappe.db.delete("Sync Settings")
		with self.assertRaises(frappe.LinkExistsError):
			frappe.delete_doc("Integration Settings", "crm")
		frappe.db.rollback()

	def test_the_form_is_offered_what_is_registered(self):
		offered = choices()
		self.assertIn("Standard Webhooks", offered["webhook_scheme"])
		self.assertEqual(offered["handler"], ["note"])
		with self.set_user("Guest"):
			self.assertRaises(frappe.PermissionError, choices)

	def test_rejections_make_one_row_a_cause(self):
		from integration_hub.webhooks import rejections

		rejections._causes.clear()
		with site_endpoint() as endpoint:
			for _ in range(20):
				requests.post(endpoint, data=b"{}", timeout=30)
		self.assertEqual([(e.kind, e.integration) for e in errors()], [("signature_missing", "crm")])

	def test_retention_goes_through_log_settings(self):
		from integration_hub.integration_hub.doctype.webhook_log.webhook_log import WebhookLog

		self.put({"id": "a"}, {"id": "b"})
		drain(self.runtime, "crm")
		frappe.db.set_value("Webhook Log", {"event_id": "a"}, "modified", "2020-01-01", update_modified=False)
		frappe.db.commit()
		WebhookLog.clear_old_logs(30)
		self.assertEqual(list(self.states()), ["b"])
