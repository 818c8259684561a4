"""Writing 20,000 records that are fetched already, on a real site: ratios within one run; medians.

From the bench's sites folder: ../env/bin/python -m benchmarks.sync_on_site SITE  (this checkout on PYTHONPATH).
It makes and drops a DocType of its own.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import frappe

from benchmarks.figures import ROUNDS, Figure, say, size
from integration_hub.connectors.redact import Redactor
from integration_hub.runtime.frappe import FrappeRuntime
from integration_hub.stores.database import in_transaction
from integration_hub.stores.ids import new_id
from integration_hub.stores.seen_marks import Mark
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.page_writer import PageWriter

DOCTYPE, STREAM = "Hub Benchmark Customer", "hub-benchmark"
COUNT, PAGE = size(20_000, quick=1000), 1000
SETTLE = size(3, quick=0)  # seconds: after a large DELETE, InnoDB goes on removing rows for a while
NUMBERS = count(1)  # of runs; there are no settings that would count them
FIELDS = {
	"customer_id": "Data",
	"customer_name": "Data",
	"email": "Data",
	"city": "Data",
	"credit_limit": "Currency",
	"active": "Check",
}


def records(changed: float = 0.0, start: int = 0, stop: int = COUNT) -> list[dict]:
	step = int(1 / changed) if changed else 0
	return [
		{
			"customer_id": f"CUST-{n:06d}",
			"customer_name": f"Customer {n}",
			"email": f"customer{n}@example.com",
			"city": "Elsewhere" if step and n % step == 0 else "Pune",
			"credit_limit": n * 1.5,
			"active": n % 2,
		}
		for n in range(start, stop)
	]


def pages(rows: list[dict]) -> list[list[dict]]:
	return [rows[start : start + PAGE] for start in range(0, len(rows), PAGE)]


def make_doctype() -> None:
	if not frappe.db.exists("DocType", DOCTYPE):
		fields = [{"fieldname": f, "label": f, "fieldtype": kind} for f, kind in FIELDS.items()]
		fields[0]["search_index"] = 1
		permissions = [{"role": "System Manager", "read": 1, "write": 1, "create": 1, "delete": 1}]
		frappe.get_doc(
			{
				"doctype": "DocType",
				"name": DOCTYPE,
				"module": "Custom",
				"custom": 1,
				"autoname": "hash",
				"fields": fields,
				"permissions": permissions,
			}
		).insert()
	frappe.db.commit()


def empty() -> None:
	frappe.db.sql(f"DELETE FROM `tab{DOCTYPE}`")
	frappe.db.sql("DELETE FROM `tabExternal Record` WHERE `stream` = %s", (STREAM,))
	frappe.db.commit()
	time.sleep(SETTLE)


def remove_doctype() -> None:
	empty()
	frappe.delete_doc("DocType", DOCTYPE, force=True)
	frappe.db.sql_ddl(f"DROP TABLE IF EXISTS `tab{DOCTYPE}`")
	frappe.db.commit()


def bulk_stream() -> StreamConfig:
	mapping = tuple(FieldMapping(source_path=field, field=field) for field in FIELDS)
	return StreamConfig(
		STREAM, target_doctype=DOCTYPE, id_path="customer_id", write_mode="Bulk", mapping=mapping
	)


def write(runtime: FrappeRuntime, stream: StreamConfig, rows: list[dict]) -> None:
	writer = PageWriter(
		runtime, stream, Redactor(), mark=Mark(new_id(), next(NUMBERS)), operation="Benchmark"
	)
	for page in pages(rows):
		counts = in_transaction(runtime.db, lambda page=page: writer.write(page))
		assert not counts.failed


def raw(rows: list[dict]) -> None:
	"""The limit: the database's driver upserting the target's rows alone, in multi-row statements."""
	columns = ["name", *FIELDS, "creation", "modified", "owner", "modified_by"]
	now, cursor = frappe.utils.now(), frappe.db._cursor  # the driver's own: nothing of Frappe is in between
	for page in pages(rows):
		values = [v for row in page for v in (f"raw-{row['customer_id']}", *row.values(), now, now, "x", "x")]
		cursor.execute(_upsert(columns, len(page)), values)
		frappe.db.commit()


def _upsert(columns: list[str], rows: int) -> str:
	"""Return the statement in the words of the site's database."""
	mark = "?" if frappe.db.db_type == "sqlite" else "%s"
	group = "(" + ", ".join([mark] * len(columns)) + ")"
	new, clause = "excluded.`{0}`", "ON CONFLICT (`name`) DO UPDATE SET"
	if frappe.db.db_type == "mariadb":
		new, clause = "VALUES(`{0}`)", "ON DUPLICATE KEY UPDATE"
	updates = ", ".join(f"`{c}` = {new.format(c)}" for c in (*FIELDS, "modified", "modified_by"))
	names = ", ".join(f"`{c}`" for c in columns)
	sql = f"INSERT INTO `tab{DOCTYPE}` ({names}) VALUES {', '.join([group] * rows)} {clause} {updates}"
	return sql.replace("`", '"') if frappe.db.db_type == "postgres" else sql


def naive(rows: list[dict]) -> None:
	"""`exists` + `insert`/`save`, a commit per 100."""
	for number, row in enumerate(rows, 1):
		name = frappe.db.exists(DOCTYPE, {"customer_id": row["customer_id"]})
		doc = frappe.get_doc(DOCTYPE, name) if name else frappe.new_doc(DOCTYPE)
		doc.update(row)
		doc.save() if name else doc.insert()
		if number % 100 == 0:
			frappe.db.commit()
	frappe.db.commit()


def rate(*steps: tuple[Callable[[], None], bool], rounds: int = ROUNDS) -> float:
	"""Return records a second, the median of rounds; steps marked False prepare and are not timed."""
	took = []
	for _ in range(rounds):
		seconds = 0.0
		for step, timed in steps:
			started = time.perf_counter()
			step()
			seconds += (time.perf_counter() - started) * timed
		took.append(seconds)
	return COUNT / statistics.median(took)


def main(site: str) -> None:
	frappe.init(site=site)
	frappe.connect()
	frappe.set_user("Administrator")
	make_doctype()
	runtime = FrappeRuntime()
	bulk = bulk_stream()
	documents = replace(bulk, write_mode="Documents")
	first, tenth = records(), records(changed=0.1)
	results = {
		"raw driver, target rows alone": rate((empty, False), (lambda: raw(first), True)),
		"Bulk, first load": rate((empty, False), (lambda: write(runtime, bulk, first), True)),
		"Bulk, nothing changed": rate((lambda: write(runtime, bulk, first), True)),
		"Bulk, 10% changed": rate(
			(lambda: write(runtime, bulk, first), False), (lambda: write(runtime, bulk, tenth), True)
		),
		"Documents, first load": rate((empty, False), (lambda: write(runtime, documents, first), True)),
		"Documents, nothing changed": rate((lambda: write(runtime, documents, first), True)),
		"Documents, 10% changed": rate(
			(lambda: write(runtime, documents, first), False),
			(lambda: write(runtime, documents, tenth), True),
		),
		# Once: it takes minutes, and grows slower with every record.
		"naive, commit per 100, first load": rate((empty, False), (lambda: naive(first), True), rounds=1),
		"naive, commit per 100, 10% changed": rate((lambda: naive(tenth), True), rounds=1),
	}
	figures = [Figure(name, value, "records/s") for name, value in results.items()]
	for name, of, to in (
		("Bulk / raw, first load", "Bulk, first load", "raw driver, target rows alone"),
		("Bulk rerun / Bulk first", "Bulk, nothing changed", "Bulk, first load"),
		("Documents rerun / Bulk first", "Documents, nothing changed", "Bulk, first load"),
		("Documents / naive, first load", "Documents, first load", "naive, commit per 100, first load"),
		("Documents / naive, 10% changed", "Documents, 10% changed", "naive, commit per 100, 10% changed"),
	):
		figures.append(Figure(name, results[of] / results[to], "×"))
	say(figures)
	remove_doctype()


if __name__ == "__main__":
	main(sys.argv[1])
