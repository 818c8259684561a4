"""Jobs of which there is to be one at a time, on queues whose workers die.

Frappe does not enqueue a job whose id is known as queued or started. A worker that is killed takes no leave: its job
stays «started» until RQ looks, which is each ten minutes, and one that it had taken off the queue and not yet begun
stays «queued» for ever. Nothing of that id would run meanwhile. So the caller that enqueues looks first whether the job is
still somebody's.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import frappe
from frappe.utils.background_jobs import get_job
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job, JobStatus

SILENT_SECONDS = 60  # a worker says each half minute that it is at its job


def enqueue_once(method: str, *, job_id: str, **options: Any) -> None:
	"""Enqueue a job unless one of its id waits or runs; `options` are those of frappe.enqueue."""
	forget_dead(job_id)
	frappe.enqueue(method, job_id=job_id, deduplicate=True, **options)


def forget_dead(job_id: str) -> bool:
	"""Delete a job that nobody will do any more; tell whether it was one.

	It may be at work all the same, if only what watches over it was killed: runs have their lock, drains their slots.
	"""
	job = get_job(job_id)
	if not job or not _is_dead(job):
		return False
	job.delete()
	return True


def forget_dead_schedule() -> None:
	"""Let the scheduler enqueue the app's jobs again that went with their workers.

	Each of them calls this for all: those that are called less often, too, so that one is always left.
	"""
	ours = {"method": ["like", "integration_hub.%"]}
	with suppress(RedisError):  # a job that was called by hand goes on without Redis
		for name in frappe.get_all("Scheduled Job Type", filters=ours, pluck="name"):
			forget_dead(frappe.get_doc("Scheduled Job Type", name).rq_job_id)


def _is_dead(job: Job) -> bool:
	status = job.get_status()
	if status == JobStatus.STARTED:
		return _silent(job.last_heartbeat)
	if status != JobStatus.QUEUED or not _silent(job.enqueued_at):
		return False
	lost = Queue(job.origin, connection=job.connection).get_job_position(job) is None
	return lost and job.get_status() == JobStatus.QUEUED  # nobody has begun it while we looked


def _silent(since: datetime | None) -> bool:
	if not since:
		return True
	since = since if since.tzinfo else since.replace(tzinfo=timezone.utc)
	# A sign of life from a time to come was given by a clock that was ahead: it says nothing.
	return abs((datetime.now(timezone.utc) - since).total_seconds()) > SILENT_SECONDS
