"""Check that what the first release left behind is whole, and works on, after `bench migrate`.

python check.py SITE SANDBOX-URL FILE, as for use.py, whose FILE it reads. Raises AssertionError.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import frappe
import requests
from deliveries import post
from frappe.utils import flt
from rows import TARGETS, Rows, read_rows

from integration_hub.connectors.secrets import SECRET_FIELDS
from integration_hub.integration_hub.provenance import timeline
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.runtime.status import lines
from integration_hub.sandbox import sender
from integration_hub.sandbox.access import CLIENT_SECRET, REFRESH_TOKEN
from integration_hub.sync.run import approve_deletions, run_stream
from integration_hub.webhooks.drain import drain

# What this release calls otherwise (see integration_hub/patches); all else is to be as it was, byte for byte.
OTHERWISE = {
	"Integration Settings": set(SECRET_FIELDS),  # masks, which are all of one length now
	"External Record": {"name", "content_hash"},
	"Sync Settings": {"has_failed", "max_delete_count"},
	"Webhook Log": {"event_key"},
}
STREAMS = ("customers-full", "customers-incremental", "customers-cursor")


def main(site: str, url: str, file: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	before = json.loads(Path(file).read_text())
	rows: Rows = before["rows"]
	runtime = FrappeRuntime()
	same_rows(rows, read_rows())
	defaults(rows)
	secrets(runtime)
	settings_can_be_saved()
	made_known()
	events(runtime, rows, before["deliveries"])
	deletions(runtime, rows)
	streams(runtime, url, rows)
	print("the data of the first release is whole, and works on")


def same_rows(before: Rows, after: Rows) -> None:
	"""Each row is there, and each column that it had holds what it did."""
	for doctype, rows in before.items():
		now = by_key(doctype, after[doctype])
		assert len(now) == len(rows), f"{doctype}: {len(rows)} rows before, {len(now)} after"
		for key, row in by_key(doctype, rows).items():
			for column in row.keys() - OTHERWISE.get(doctype, set()):
				assert same(row[column], now[key][column]), (
					f"{doctype} {key}: {column} was {row[column]!r}, is {now[key][column]!r}"
				)


def by_key(doctype: str, rows: dict[str, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
	if doctype != "External Record":
		return dict(rows)
	return {(row["stream"], row["external_id"]): row for row in rows.values()}


def same(before: Any, now: Any) -> bool:
	return before == now or (isinstance(before, int | float) and flt(before) == flt(now))


def defaults(before: Rows) -> None:
	"""What is new to a row is what it would be in a new document."""
	for doctype in ("Integration Settings", "Sync Settings"):
		columns = next(iter(before[doctype].values())).keys()
		for name in before[doctype]:
			doc = frappe.get_doc(doctype, name)
			for field in doc.meta.fields:
				if field.default and field.fieldname not in columns | OTHERWISE.get(doctype, set()):
					value = doc.get(field.fieldname)
					assert str(value) == field.default or flt(value) == flt(field.default) != 0, (
						f"{doctype} {name}: {field.fieldname} is {value!r}, not {field.default!r}"
					)


def secrets(runtime: FrappeRuntime) -> None:
	"""Secrets can be read, and a refresh token that was rotated is the one that is used."""
	crm, shop = runtime.secrets("crm"), runtime.secrets("shop")
	assert (crm.get("client_secret"), crm.get("webhook_secret")) == (CLIENT_SECRET, sender.SECRET)
	assert (shop.get("client_secret"), shop.get("refresh_token")) == (CLIENT_SECRET, REFRESH_TOKEN)
	kept = shop.get("oauth_token")
	with runtime.connector("shop") as connector:
		connector.get("/v1/me")
		assert shop.get("oauth_token") == kept, "the token that was kept is still good"
		connector.renew_authentication(None)
		connector.get("/v1/me")


def settings_can_be_saved() -> None:
	for doctype in ("Integration Settings", "Sync Settings"):
		for name in frappe.get_all(doctype, pluck="name"):
			frappe.get_doc(doctype, name).save()
	frappe.db.commit()


def made_known() -> None:
	"""What Desk shows of old rows."""
	assert frappe.db.exists("Workspace", "Integration Hub")
	for doctype in TARGETS:
		name = frappe.get_all(doctype, limit=1, pluck="name")[0]
		assert timeline(doctype, name), f"{doctype} {name} has no origin"


def events(runtime: FrappeRuntime, before: Rows, deliveries: dict[str, list]) -> None:
	"""What was handled is not handled again, and what was not, is."""
	sent = {
		what: sender.Delivery(id, body.encode(), headers) for what, (id, body, headers) in deliveries.items()
	}
	words = {what: post(delivery) for what, delivery in sent.items()}
	assert words == {**dict.fromkeys(sent, "duplicate"), "conflict": "conflict"}, words
	frappe.db.sql("UPDATE `tabWebhook Log` SET `next_attempt_at` = '2000-01-01' WHERE `status` = 'Failed'")
	frappe.db.commit()
	done = drain(runtime, "crm")
	assert (done.completed, done.failed) == (1, 1), done
	now = {
		row.event_id: row
		for row in frappe.get_all("Webhook Log", filters={"status": ["!=", "Conflict"]}, fields=["*"])
	}
	assert len(now) == 4, list(now)
	states = {what: now[id].status for what, (id, *_) in deliveries.items() if what != "conflict"}
	assert states == {
		"handled": "Completed",
		"waiting": "Completed",
		"failed": "Failed",
		"unrouted": "Unrouted",
	}, states
	old = next(row for row in before["Webhook Log"].values() if row["status"] == "Completed")
	assert str(now[old["event_id"]].completed_at) == old["completed_at"]
	assert now[deliveries["failed"][0]].attempts == 2


def deletions(runtime: FrappeRuntime, before: Rows) -> None:
	"""A person's word removes what a run of the first release has held back, and nothing else."""
	held = frappe.get_last_doc("Sync Log", filters={"status": "Needs Approval"})
	row = approve_deletions(runtime, held.name)
	assert (row["status"], row["deleted"], row["failed"]) == ("Completed", 130, 0), row
	assert frappe.db.count("Sandbox Customer") == len(before["Sandbox Customer"]) - 130


def streams(runtime: FrappeRuntime, url: str, before: Rows) -> None:
	"""Streams go on where they were: what is bound stays so, and in the end the targets are as the source."""
	names = {doctype: dict(map(ident, before[doctype].values())) for doctype in TARGETS}
	for stream in STREAMS:
		row = run_stream(runtime, stream)
		checkpoint = before["Sync Settings"][stream]["checkpoint"] or ""
		assert (row["checkpoint_before"] or "") == checkpoint, f"{stream} began at {row['checkpoint_before']}"
		assert row["created"] == 0, f"{stream}: {row}"
		if row["status"] == "Needs Approval":  # of what has gone at once, some is too much for this one, too
			approve_deletions(runtime, row["name"])
	city = frappe.get_doc("DocType", "Sandbox Customer Change")
	next(field for field in city.fields if field.fieldname == "city").length = 140
	city.save()
	requests.post(f"{url}/_sandbox/change", json={"create": 3, "update": 5, "delete": 2}, timeout=10)
	source = {row["id"]: row for row in requests.get(f"{url}/_sandbox/customers", timeout=10).json()}
	for stream, doctype in zip(STREAMS, TARGETS, strict=True):
		row = run_stream(runtime, stream)
		assert row["status"] == "Completed", f"{stream}: {row}"
		now = frappe.get_all(doctype, fields=["name", "customer_id", "customer_name", "city", "credit_limit"])
		here = {each.customer_id for each in now}
		assert len(here) == len(now), f"{stream}: some customers are there twice"
		assert here == source.keys(), f"{stream}: not the same customers: {here ^ source.keys()}"
		for each in now:
			theirs = source[each.customer_id]
			assert (each.customer_name, each.city, each.credit_limit) == (
				theirs["name"],
				theirs["city"],
				theirs["credit_limit"],
			), f"{stream}: {each} is not {theirs}"
			assert names[doctype].get(each.customer_id, each.name) == each.name, (
				f"{stream}: {each} was made again"
			)
	assert list(lines(runtime))


def ident(row: dict[str, Any]) -> tuple[str, str]:
	return row["customer_id"], row["name"]


if __name__ == "__main__":
	with patch.object(FrappeRuntime, "enqueue_drain"):  # as in use.py
		main(*sys.argv[1:])
