"""For test_operator, on the site: an integration with all that an operator may meet. No source is asked."""

import frappe

from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores import bindings
from integration_hub.stores.database import in_transaction
from integration_hub.stores.ids import new_id
from integration_hub.stores.status_facts import restate

if not frappe.db.exists("Integration Settings", "desk-ops"):
	frappe.get_doc(
		{
			"doctype": "Integration Settings",
			"integration_name": "desk-ops",
			"connector": "REST",
			"base_url": "http://127.0.0.1:9",
			"auth_type": "None",
			"enabled": 1,
			"queue_enabled": 1,
			"queue_url": "redis://127.0.0.1:9/0",
			"queue_kind": "List",
			"queue_end": "Right",
			"queue_name": "ops",
			"event_type_path": "type",
			"routes": [],
		}
	).insert()
	for name in ("desk-ops-customers", "desk-ops-others"):
		frappe.get_doc(
			{
				"doctype": "Sync Settings",
				"stream_name": name,
				"integration": "desk-ops",
				"enabled": 1,
				"mode": "Full",
				"target_doctype": "Desk Customer",
				"write_mode": "Documents",
				"match_field": "email",
				"endpoint": "/nothing",
				"id_path": "id",
				"pagination": "None",
				"deletion_policy": "Delete",
				"schedule": "Off",
				"mapping": [
					{"field": "customer_name", "source_path": "name"},
					{"field": "email", "source_path": "email"},
				],
			}
		).insert()
	doc = frappe.get_doc("Integration Settings", "desk-ops")
	doc.append(
		"routes", {"event_pattern": "customer.*", "action": "Start Sync", "stream": "desk-ops-customers"}
	)
	doc.save()

runtime, now, stream = FrappeRuntime(), frappe.utils.now(), "desk-ops-customers"


def log(status: str, **values) -> str:
	name = new_id()
	row = {"doctype": "Sync Log", "name": name, "stream": stream, "integration": "desk-ops", "mode": "Full"}
	times = {"started_at": now, "finished_at": now, "heartbeat_at": now}
	frappe.get_doc({**row, **times, "status": status, **values}).db_insert()
	return name


def failure(message: str, kind: str, **values) -> str:
	name = new_id()
	row = {"doctype": "Integration Error Log", "name": name, "integration": "desk-ops", "status": "Open"}
	seen = {"first_seen_at": now, "last_seen_at": values.pop("seen", now), "fingerprint": name}
	frappe.get_doc({**row, **seen, "message": message, "kind": kind, **values}).db_insert()
	return name


partial = log(
	"Partial",
	outcome="1 created, 3 failed",
	created=1,
	failed=3,
	fetched=4,
	error="3 of 4 records failed. The first: ops-1: email is wrong",
)
wrong = failure(
	"email is wrong",
	"MappingError",
	operation="Sync",
	stream=stream,
	about="Record",
	external_id="ops-1",
	occurrences=3,
)
older = failure("an older one", "ValueError", operation="Call", occurrences=41, seen="2020-01-01 10:00:00")
for number in (1, 2, 3):
	frappe.get_doc(
		{
			"doctype": "External Record",
			"name": bindings.binding_name(stream, f"ops-{number}"),
			"stream": stream,
			"external_id": f"ops-{number}",
			"target_doctype": "Desk Customer",
			"status": "Failed",
			"error": "email is wrong",
			"error_log": wrong,
			"attempts": 2,
			"payload": frappe.as_json(
				{"id": f"ops-{number}", "name": f"Ops {number}", "email": f"ops{number}@example.com"}
			),
		}
	).db_insert()
held = log("Needs Approval", outcome="2 to delete", to_delete=2)
for number in (8, 9):
	customer = frappe.get_doc(
		{"doctype": "Desk Customer", "customer_name": f"Gone {number}", "email": f"gone{number}@example.com"}
	).insert()
	frappe.get_doc(
		{
			"doctype": "External Record",
			"name": bindings.binding_name(stream, f"ops-{number}"),
			"stream": stream,
			"external_id": f"ops-{number}",
			"target_doctype": "Desk Customer",
			"target_name": customer.name,
			"status": "Bound",
			"missing_run": held,
		}
	).db_insert()
for status in ("Unrouted", "Conflict", "Dead"):
	name = new_id()
	row = {
		"doctype": "Webhook Log",
		"name": name,
		"event_key": name,
		"integration": "desk-ops",
		"status": status,
	}
	frappe.get_doc(
		{**row, "event_type": "order.x", "received_at": now, "payload": "{}", "door": "HTTP"}
	).db_insert()
frappe.db.set_value(
	"Sync Settings",
	stream,
	{"last_status": "Partial", "last_outcome": "1 created, 3 failed", "last_run_at": now},
)
frappe.db.set_value(
	"Integration Settings",
	"desk-ops",
	{"queue_error": "Error 111 connecting to 127.0.0.1:9. Connection refused.", "queue_read_at": now},
	update_modified=False,
)
frappe.db.commit()
in_transaction(runtime.db, lambda: restate(runtime, stream))
