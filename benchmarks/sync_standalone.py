"""Writing records that are fetched already, on the standalone runtime: the naive loop, ours, the driver's limit.

python -m benchmarks.sync_standalone
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, median_seconds, say, size
from integration_hub.connectors.redact import Redactor
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores.database import in_transaction
from integration_hub.stores.ids import new_id
from integration_hub.stores.runs import new_mark
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.run import load_stream

COUNT = size(20_000, quick=2000)
PAGE = 1000
FIELDS = ("customer_id", "customer_name", "email", "city", "credit_limit", "active")
HUB = """
[integration.source]
base_url = "https://example.com"

[stream.records]
integration = "source"
endpoint = "/records"
id_path = "customer_id"
target_doctype = "Record"

[stream.records.mapping]
customer_id = "customer_id"
customer_name = "customer_name"
email = "email"
city = "city"
credit_limit = "credit_limit"
active = "active"

[table.Record]
customer_id = "Data"
customer_name = "Data"
email = "Data"
city = "Data"
credit_limit = "Currency"
active = "Check"
"""


def records(count: int, changed: float = 0.0) -> list[dict]:
	step = int(1 / changed) if changed else 0
	return [
		{
			"customer_id": f"CUST-{n:07d}",
			"customer_name": f"Customer {n}",
			"email": f"customer{n}@example.com",
			"city": "Elsewhere" if step and n % step == 0 else "Pune",
			"credit_limit": n * 1.5,
			"active": n % 2,
		}
		for n in range(count)
	]


class Plain:
	"""A table of one's own in a file of its own, as durable as the hub's."""

	def __init__(self, path: Path):
		self._db = sqlite3.connect(path, isolation_level=None)
		self._db.execute("PRAGMA journal_mode = WAL")
		self._db.execute("PRAGMA synchronous = FULL")
		self._db.execute(f"CREATE TABLE record (name TEXT PRIMARY KEY, {' TEXT, '.join(FIELDS)} TEXT)")
		self._db.execute("CREATE INDEX by_id ON record (customer_id)")

	def empty(self) -> None:
		self._db.execute("DELETE FROM record")

	def naive(self, rows: list[dict], commit_each: int) -> None:
		"""Look, then insert or update, record by record."""
		sets = ", ".join(f"{field} = ?" for field in FIELDS)
		marks = ", ".join("?" for _ in range(len(FIELDS) + 1))
		self._db.execute("BEGIN")
		for number, row in enumerate(rows, 1):
			values = [row[field] for field in FIELDS]
			found = self._db.execute("SELECT name FROM record WHERE customer_id = ?", values[:1]).fetchone()
			if found:
				self._db.execute(f"UPDATE record SET {sets} WHERE name = ?", [*values, found[0]])
			else:
				self._db.execute(f"INSERT INTO record VALUES ({marks})", [new_id(), *values])
			if number % commit_each == 0:
				self._db.execute("COMMIT")
				self._db.execute("BEGIN")
		self._db.execute("COMMIT")

	def upsert(self, rows: list[dict]) -> None:
		"""The limit: multi-row upserts of the target's rows alone, a commit a page."""
		group = f"({', '.join('?' for _ in range(len(FIELDS) + 1))})"
		sets = ", ".join(f"{field} = excluded.{field}" for field in FIELDS)
		for page in pages(rows):
			values = [v for row in page for v in (f"raw-{row['customer_id']}", *row.values())]
			self._db.execute("BEGIN")
			self._db.execute(
				f"INSERT INTO record VALUES {', '.join([group] * len(page))} ON CONFLICT (name) DO UPDATE SET {sets}",
				values,
			)
			self._db.execute("COMMIT")


def pages(rows: list[dict]) -> list[list[dict]]:
	return [rows[start : start + PAGE] for start in range(0, len(rows), PAGE)]


def write(runtime: StandaloneRuntime, rows: list[dict]) -> None:
	"""Ours: documents, bindings and what is compared, a commit a page."""
	mark = in_transaction(runtime.db, lambda: new_mark(runtime.db, "records"))
	writer = PageWriter(
		runtime, load_stream(runtime, "records"), Redactor(), mark=mark, operation="Benchmark"
	)
	for page in pages(rows):
		counts = in_transaction(runtime.db, lambda page=page: writer.write(page))
		assert not counts.failed


def empty(runtime: StandaloneRuntime) -> None:
	for table in ("tabRecord", "tabExternal Record"):
		runtime.db.execute(f"DELETE FROM `{table}`")


def measure(runtime: StandaloneRuntime, plain: Plain, count: int) -> dict[str, float]:
	"""Return the seconds of each way."""
	first, tenth = records(count), records(count, changed=0.1)
	rounds = {"rounds": 1} if count > 100_000 else {}

	def timed(prepare, work) -> float:
		return median_seconds((prepare, False), (work, True), **rounds)

	return {
		"naive, one commit, first load": timed(plain.empty, lambda: plain.naive(first, count + 1)),
		"naive, commit a record, first load": timed(plain.empty, lambda: plain.naive(first, 1)),
		"naive, one commit, 10% changed": timed(lambda: None, lambda: plain.naive(tenth, count + 1)),
		"driver's multi-row upsert, first load": timed(plain.empty, lambda: plain.upsert(first)),
		"driver's multi-row upsert, again": timed(lambda: None, lambda: plain.upsert(tenth)),
		"ours, first load": timed(lambda: empty(runtime), lambda: write(runtime, first)),
		"ours, nothing changed": timed(lambda: None, lambda: write(runtime, first)),
		"ours, 10% changed": timed(lambda: write(runtime, first), lambda: write(runtime, tenth)),
	}


def main(count: int = COUNT) -> None:
	with tempfile.TemporaryDirectory() as folder:
		(Path(folder) / "hub.toml").write_text(HUB)
		with StandaloneRuntime(Path(folder) / "hub.toml") as runtime:
			took = measure(runtime, Plain(Path(folder) / "plain.db"), count)
	figures = [Figure(name, count / seconds, "records/s") for name, seconds in took.items()]
	ratios = (
		("ours / driver, first load", "driver's multi-row upsert, first load", "ours, first load"),
		("ours / naive with a commit a record", "naive, commit a record, first load", "ours, first load"),
		("ours, nothing changed / first load", "ours, first load", "ours, nothing changed"),
	)
	figures += [Figure(name, took[of] / took[to], "×") for name, of, to in ratios]
	say(figures)


if __name__ == "__main__":
	main()
