"""Checks that there are workers to do what a button hands to them."""

from __future__ import annotations

import frappe
from frappe import _
from frappe.utils.background_jobs import generate_qname, get_workers
from frappe.utils.scheduler import is_scheduler_inactive
from redis.exceptions import RedisError


def warnings(*queues: str) -> list[str]:
	"""Return what keeps jobs of some queues (streams': `long`) from being done, or streams from running by themselves."""
	found = []
	try:
		names = {name for worker in get_workers() for name in worker.queue_names()}
		found += [
			_("No worker takes jobs of the queue {0}. Nothing runs until you start one.").format(queue)
			for queue in queues or ("long",)
			if generate_qname(queue) not in names
		]
	except RedisError:
		found.append(_("The job queue (Redis) does not answer, so no job can be started."))
	if is_scheduler_inactive(verbose=False):
		command = f"bench --site {frappe.local.site} enable-scheduler"
		found.append(
			_("The scheduler is off: streams do not run by themselves. Switch it on: {0}").format(command)
		)
	return found


ROLE = "Integration Manager"


def told_to_nobody() -> list[str]:
	"""Return what keeps alerts from reaching a person: nobody has the role that they go to, or no mail leaves the site."""
	return [*_without_role(), *_without_mail()]


def _without_role() -> list[str]:
	holders = frappe.get_all("Has Role", filters={"role": ROLE, "parenttype": "User"}, pluck="parent")
	known = {"name": ["in", holders or [""]], "enabled": 1, "user_type": "System User"}
	if frappe.get_all("User", filters=known, limit=1):
		return []
	return [_("Nobody has the role {0}: alerts reach nobody. Give it to a user.").format(_(ROLE))]


def _without_mail() -> list[str]:
	if frappe.get_all("Email Account", filters={"enable_outgoing": 1, "default_outgoing": 1}, limit=1):
		return []
	return [_("No Email Account sends mail by default: alerts are shown in Desk only.")]
