"""Nobody waits behind a pause: each function that the browser may call answers at once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import frappe
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from integration_hub import api
from integration_hub.connectors.errors import ConnectorError
from integration_hub.connectors.transport import Transport
from integration_hub.tests.support import HubTestCase

PAUSE = 26.0
AT_ONCE = 15.0  # seconds that are no wait, on a machine that has much else to do

# Functions that call the external system while somebody waits; each is tried behind a pause.
CALLING: dict[str, Callable[[], object]] = {
	"test_connection": lambda: api.test_connection("crm"),
	"preview": lambda: api.preview("customers-full"),
	"look_at_source": lambda: api.look_at_source(frappe.get_doc("Sync Settings", "customers-full").as_json()),
	"dry_run": lambda: api.dry_run("customers-full"),
}
# Functions that read what is here, or hand it to a worker.
ELSEWHERE = frozenset(
	{
		"webhook",
		"health",
		"choices",
		"start_sandbox",
		"describe_import",
		"make_import",
		"sync_now",
		"backfill",
		"backfill_again",
		"reset_checkpoint",
		"approve_deletions",
		"replay_events",
		"preview_replay",
		"replay_since",
		"handle_conflict",
		"resolve_failures",
		"reopen_failures",
		"retry_failures",
		"retry_record",
		"held_documents",
		"events_a_day",
		"records_a_day",
		"log_days",
		"integration_states",
		"send_test_webhook",
		"rotate_webhook_secret",
		"accept_new_secret",
		"senders",
		"stream_state",
		"running_streams",
		"held_deletions",
		"keep_deletions",
		"ask_about_kept",
		"count_to_retry",
		"retry_matching",
		"retry_records",
		"run_streams",
		"enable_streams",
		"run_again",
		"removal_plan",
		"delete_integration",
		"replay_deliveries",
		"approve_deliveries",
		"preview_delivery",
		"plan_sending",
		"send_what_is_there",
	}
)


@contextmanager
def answering() -> Iterator[None]:
	"""Run a block as Frappe runs what a request asks for."""
	with patch.object(
		frappe.local, "request", Request(EnvironBuilder(path="/", method="POST").get_environ()), create=True
	):
		yield


class TestNobodyWaits(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		frappe.db.set_value("Integration Settings", "crm", {"breaker_threshold": 1, "max_wait": 120})
		frappe.db.commit()
		self.addCleanup(lambda: self.runtime.coordination.forget(*self.notes()))

	def notes(self) -> list[str]:
		with self.runtime.connector("crm") as connector:
			return [connector.breaker._counter, connector.breaker._open, connector.breaker._probe]

	def pause(self) -> None:
		self.runtime.coordination.postpone("crm", PAUSE)
		self.addCleanup(frappe.cache.delete, self.runtime.coordination._key("budget", "crm"))

	def called(self, work: Callable[[], object]) -> tuple[object, float]:
		began = time.monotonic()
		with answering():
			try:
				found = work()
			except (frappe.ValidationError, ConnectorError) as error:
				found = str(error)
		return found, time.monotonic() - began

	def test_every_function_is_known_to_call_or_not_to(self):
		"""A new one has to be put where it belongs."""
		ours = [f for f in frappe.whitelisted if f.__module__.startswith("integration_hub.")]
		names = {f.__name__ for f in ours if not f.__module__.startswith("integration_hub.tests.")}
		self.assertEqual(names, CALLING.keys() | ELSEWHERE)

	def test_behind_a_budget_each_answers_at_once(self):
		self.pause()
		for name, work in CALLING.items():
			with self.subTest(name):
				found, seconds = self.called(work)
				self.assertLess(seconds, AT_ONCE)
				self.assertRegex(str(found), r"\b2[0-6]\b")

	def test_behind_a_pause_that_the_source_asks_for(self):
		self.crm.budget.limit, self.crm.budget.period = 1, 26
		for name, work in CALLING.items():
			with self.subTest(name):
				_, seconds = self.called(work)
				self.assertLess(seconds, AT_ONCE)

	def test_a_source_that_fails_is_not_tried_for_long(self):
		values = {"max_attempts": 5, "backoff_min": 30, "backoff_max": 60, "breaker_threshold": 0}
		frappe.db.set_value("Integration Settings", "crm", values)
		frappe.db.commit()
		self.crm.faults.set({"500": 1.0})
		for name, work in CALLING.items():
			with self.subTest(name):
				_, seconds = self.called(work)
				self.assertLess(seconds, AT_ONCE)

	def test_the_others_call_nobody(self):
		"""Behind a pause, a call would raise or wait; none is made."""
		self.pause()
		made: list[str] = []
		with answering(), patch.object(Transport, "exchange", lambda *_, **__: made.append("a call")):
			api.health("crm")
			api.stream_state("customers-full")
			api.integration_states()
			api.send_test_webhook("crm")
			api.sync_now("customers-full")
		self.assertEqual(made, [])

	def test_a_connection_behind_a_pause_says_for_how_long_and_is_not_said_to_fail(self):
		self.pause()
		found, _ = self.called(CALLING["test_connection"])
		self.assertIn(found["paused"], (25, 26))
		self.assertFalse(frappe.db.get_value("Integration Settings", "crm", "last_failure_at"))
		self.assertFalse(frappe.get_all("Integration Error Log"))

	def test_a_worker_waits_as_before(self):
		with self.runtime.connector("crm") as connector:
			self.assertFalse(connector.hurried)
			self.assertEqual(connector.patience, 120)
