"""Use the first release as people and an external system do: what it leaves behind is what an upgrade has to keep.

python use.py SITE SANDBOX-URL FILE, by the bench's Python in its sites folder. The example's streams are there, and
have not run. Writes all rows, and the deliveries it made, to FILE.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest.mock import patch

import frappe
import requests
from deliveries import post
from rows import read_rows

from integration_hub.homes.site import SiteHome
from integration_hub.homes.worker import work_once
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import CLIENT_SECRET, REFRESH_TOKEN
from integration_hub.sync.run import run_stream


def main(site: str, url: str, file: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	home = SiteHome()
	run_streams(home)
	keep_a_rotated_token(home, url)
	fail_a_run(home)
	deliveries = take_events(home, url)
	hold_deletions(home, url)
	Path(file).write_text(json.dumps({"rows": read_rows(), "deliveries": deliveries}))


def run_streams(home: SiteHome) -> None:
	"""One of each mode; in one, some cities are longer than its target has room for, and wait to be put right."""
	doctype = frappe.get_doc("DocType", "Sandbox Customer Change")
	next(field for field in doctype.fields if field.fieldname == "city").length = 8
	doctype.save()
	frappe.db.commit()
	for stream in ("customers-full", "customers-cursor"):
		row = run_stream(home, stream)
		assert (row["status"], row["created"]) == ("Completed", 250), row
	row = run_stream(home, "customers-incremental")
	assert row["status"] == "Partial" and row["failed"] and row["created"], row


def keep_a_rotated_token(home: SiteHome, url: str) -> None:
	"""A second integration, whose refresh token in the settings is spent: only the stored one is good."""
	values = {
		"integration_name": "shop",
		"base_url": url,
		"auth_type": "OAuth2 Refresh Token",
		"token_url": f"{url}/oauth/token",
		"client_id": "sandbox",
		"client_secret": CLIENT_SECRET,
		"refresh_token": REFRESH_TOKEN,
	}
	frappe.get_doc({"doctype": "Integration Settings", **values}).insert()
	frappe.db.commit()
	with home.connector("shop") as connector:
		connector.get("/v1/me")


def fail_a_run(home: SiteHome) -> None:
	"""A stream of a list that does not exist."""
	doc = frappe.copy_doc(frappe.get_doc("Sync Settings", "customers-full"))
	doc.stream_name, doc.endpoint = "customers-nowhere", "/v1/nowhere"
	doc.insert()
	frappe.db.commit()
	row = run_stream(home, "customers-nowhere")
	assert row["status"] == "Failed" and row["error_log"], row


def take_events(home: SiteHome, url: str) -> dict[str, list]:
	"""Events of each kind: handled, sent twice, failed, unrouted, in conflict, still to be handled."""
	record = requests.get(f"{url}/_sandbox/customers", timeout=10).json()[0]
	made = {
		"handled": sender.make("customer.updated", {**record, "name": "By an Event"}),
		"failed": sender.make("customer.updated", {"name": "nobody"}),
		"unrouted": sender.make("invoice.paid", {}),
		"waiting": sender.make("customer.updated", {**record, "name": "By a Later Event"}),
	}
	assert post(made["handled"]) == "received"
	assert post(made["handled"]) == "duplicate"
	assert post(made["failed"]) == "received"
	assert post(made["unrouted"]) == "unrouted"
	body = made["handled"].body.replace(b"By an Event", b"By a Forger")
	made["conflict"] = sender.Delivery(
		made["handled"].event_id, body, {sender.HEADER: sender.sign(body), "Content-Type": "application/json"}
	)
	assert post(made["conflict"]) == "conflict"
	done = work_once(home)
	assert done.events == 2, done
	assert post(made["waiting"]) == "received"
	return {what: [each.event_id, each.body.decode(), each.headers] for what, each in made.items()}


def hold_deletions(home: SiteHome, url: str) -> None:
	"""More customers gone at once than may be removed without a person's word."""
	requests.post(f"{url}/_sandbox/change", json={"delete": 130}, timeout=10).raise_for_status()
	row = run_stream(home, "customers-full")
	assert row["status"] == "Needs Approval" and row["to_delete"] == 130, row


if __name__ == "__main__":
	with patch.object(SiteHome, "enqueue_drain"):  # a worker of the bench would take everything up at once
		main(*sys.argv[1:])
