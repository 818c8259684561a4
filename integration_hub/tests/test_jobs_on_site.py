"""Jobs whose worker was killed: they are enqueued again, and do not wait for RQ to find out."""

import os
import signal
import subprocess
import sys
import time

import frappe
from frappe.utils.background_jobs import get_job, get_queue
from rq.job import JobStatus

from integration_hub import jobs
from integration_hub.tests.support import HubTestCase, forget_jobs, work

LONG_AGO = "2020-01-01T00:00:00.000000Z"
SYNC = "integration_hub:sync:customers-full"
STREAM = "customers-full"


class TestDeadJobs(HubTestCase):
	def setUp(self) -> None:
		super().setUp()
		self.addCleanup(self.forget, SYNC)
		self.forget(SYNC)

	def forget(self, job_id: str) -> None:
		if job := get_job(job_id):
			job.delete()
		forget_jobs()

	def age(self, job_id: str) -> None:
		"""Let a while pass for a job."""
		job = get_job(job_id)
		job.connection.hset(job.key, mapping={"last_heartbeat": LONG_AGO, "enqueued_at": LONG_AGO})

	def test_a_run_whose_worker_was_killed_is_handed_to_another(self):
		self.crm.faults.set(rates={"slow": 1})
		self.crm.faults.slow_seconds = 60
		frappe.db.set_value("Integration Settings", "crm", "read_timeout", 120)
		frappe.db.commit()
		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.kill_a_worker_at(SYNC)
		self.crm.faults.set()

		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.assertEqual(get_job(SYNC).get_status(), JobStatus.STARTED, "it may be alive yet")
		self.age(SYNC)
		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.assertEqual(get_job(SYNC).get_status(), JobStatus.QUEUED)
		self.assertEqual(get_queue("long").job_ids.count(get_job(SYNC).id), 1)

	def test_a_worker_that_was_killed_while_its_clock_was_ahead_is_not_taken_for_alive(self):
		self.runtime.enqueue_sync(STREAM, "Schedule")
		job = get_job(SYNC)
		get_queue("long").connection.lrem(get_queue("long").key, 0, job.id)
		job.set_status(JobStatus.STARTED)
		job.connection.hset(job.key, mapping={"last_heartbeat": "2039-01-01T00:00:00.000000Z"})
		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.assertEqual(get_job(SYNC).get_status(), JobStatus.QUEUED)
		self.assertIn(get_job(SYNC).id, get_queue("long").job_ids)

	def kill_a_worker_at(self, job_id: str) -> None:
		"""Have a worker begin a job, and kill it with all its processes, as the end of its host would."""
		command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "worker", "--queue", "long"]
		worker = subprocess.Popen(
			command, cwd=frappe.local.sites_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
		)
		for _ in range(300):
			time.sleep(0.1)
			if get_job(job_id).get_status() == JobStatus.STARTED:
				break
		horses = subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True).stdout
		for pid in (worker.pid, *map(int, horses.split())):
			os.kill(pid, signal.SIGKILL)
		worker.wait()

	def test_a_worker_has_imported_what_the_jobs_it_forks_need(self):
		"""Half a second of each job, otherwise."""
		self.addCleanup(frappe.cache.delete_value, "hub_test_loaded")
		frappe.enqueue("integration_hub.tests.forked_job.note_what_is_loaded")
		work()
		self.assertIs(frappe.cache.get_value("hub_test_loaded"), True)

	def test_a_job_that_a_worker_took_with_it_before_its_start_is_enqueued_again(self):
		self.runtime.enqueue_sync(STREAM, "Schedule")
		queue = get_queue("long")
		queue.connection.lrem(queue.key, 0, get_job(SYNC).id)
		self.age(SYNC)
		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.assertIn(get_job(SYNC).id, queue.job_ids)

	def test_a_job_that_waits_long_is_enqueued_once(self):
		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.age(SYNC)
		self.runtime.enqueue_sync(STREAM, "Schedule")
		self.assertEqual(get_queue("long").job_ids.count(get_job(SYNC).id), 1)

	def test_a_scheduled_job_that_went_with_its_worker_is_set_free_by_the_others(self):
		name = frappe.db.get_value("Scheduled Job Type", {"method": "integration_hub.jobs.sync_due_streams"})
		scheduled = frappe.get_doc("Scheduled Job Type", name)
		self.addCleanup(self.forget, scheduled.rq_job_id)
		self.forget(scheduled.rq_job_id)
		scheduled.enqueue(force=True)
		job = get_job(scheduled.rq_job_id)
		job.connection.lrem(get_queue(scheduled.get_queue_name()).key, 0, job.id)
		self.age(scheduled.rq_job_id)
		self.assertFalse(scheduled.enqueue(force=True), "Frappe takes it for queued")
		jobs.sweep_webhook_inbox()
		self.assertTrue(scheduled.enqueue(force=True))
