"""Sweeping and claiming where very many events wait, in the worst mixtures of states and keys.

Longest of what was measured, as a person would wait for it. Without a bench: python -m benchmarks.inbox_worst
On a site, from the bench's sites folder: ../env/bin/python -m benchmarks.inbox_worst_on_site SITE
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, say, size
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores import claims, inbox, ordering
from integration_hub.stores.database import insert_many
from integration_hub.stores.ids import new_ids
from integration_hub.stores.runtime import Runtime
from integration_hub.webhooks.drain import sweep

NAME = "hub-benchmark"
COUNT = size(1_000_000, quick=2000)
_SECONDS = 3  # of sweeps, until what waits has said so
HOUR = 3600.0

Values = Callable[
	[int, dict[str, str]], tuple
]  # of an event's number and two times: state, key, next attempt, deferrals

MIXTURES: dict[str, Values] = {
	"all to be handled, no keys": lambda n, at: ("Queued", "", at["past"], 0),
	"all to be handled, a key each": lambda n, at: ("Queued", f"k{n}", at["past"], 0),
	"all failed, one key": lambda n, at: ("Failed", "k", at["future"], 0),
	"all failed, a key each": lambda n, at: ("Failed", f"k{n}", at["future"], 0),
	"all failed and due, a key each": lambda n, at: ("Failed", f"k{n}", at["past"], 0),
	"all behind one that failed": lambda n, at: ("Queued" if n else "Failed", "k", at["past" if n else "future"], 0),
	"half behind the other half, which failed": lambda n, at: (
		("Failed", f"k{n}", at["future"], 0)
		if n < COUNT // 2
		else ("Queued", f"k{n - COUNT // 2}", at["past"], 0)
	),
	"failed and due, behind one of a key each that is not": lambda n, at: (
		"Failed", f"k{n % (COUNT // 2)}", at["future" if n < COUNT // 2 else "past"], 0,
	),
	"all deferred, no keys": lambda n, at: ("Queued", None, at["future"], 1),
	"all deferred and due, behind one that failed": lambda n, at: (
		("Queued", "k", at["past"], 1) if n else ("Failed", "k", at["future"], 0)
	),
	"all abandoned, a key each": lambda n, at: ("Processing", f"k{n}", at["past"], 0),
	"half in conflict, half failed with a key each": lambda n, at: (
		("Conflict", f"k{n}", None, 0) if n % 2 else ("Failed", f"k{n}", at["future"], 0)
	),
}  # fmt: skip


def fill(runtime: Runtime, values: Values) -> None:
	"""Put COUNT events into the inbox, the last of them one that can be handled."""
	at = {"past": runtime.now(ahead=-HOUR), "future": runtime.now(ahead=HOUR)}
	columns = (
		"name",
		"event_key",
		"status",
		"ordering_key",
		"next_attempt_at",
		"deferrals",
		"claim",
		"claimed_at",
	)
	same = {"integration": NAME, "creation": at["past"], "modified": at["past"], "received_at": at["past"]}
	same |= {"payload": "{}", "event_type": "x"}
	names = new_ids(COUNT + 1)
	for start in range(0, COUNT, 10_000):
		rows = []
		for n in range(start, min(start + 10_000, COUNT)):
			status, key, due, deferrals = values(n, at)
			claim = f"31:{n // 100}" if status == "Processing" else None
			claimed = at["past"] if claim else None
			rows.append((names[n], f"{NAME}-{n}", status, key, due, deferrals, claim, claimed))
		with runtime.db.transaction():
			insert_many(runtime.db, inbox.DOCTYPE, columns, rows, same)
	row = (names[COUNT], f"{NAME}-last", "Queued", "free", at["past"], 0, None, None)
	with runtime.db.transaction():
		insert_many(runtime.db, inbox.DOCTYPE, columns, [row], same)


def timed(work: Callable[[], object]) -> float:
	started = time.perf_counter()
	work()
	return time.perf_counter() - started


def claim(runtime: Runtime) -> None:
	rows = claims.claim_due(runtime, NAME, 100)
	claims.give_back(runtime, rows)


def measure(runtime: Runtime, name: str) -> Iterator[Figure]:
	"""Fill, then measure sweeps and claims: the first ones, and those after some seconds of them."""
	until, first, later = time.monotonic() + _SECONDS, [], []
	while time.monotonic() < until or not first:
		first.append((timed(lambda: sweep(runtime)), timed(lambda: claim(runtime))))
	later = [(timed(lambda: sweep(runtime)), timed(lambda: claim(runtime))) for _ in range(3)]
	endpoint = timed(lambda: ordering.waits_for_retry(runtime, NAME, ["k", "k1"]))
	for what, place in (("sweep", 0), ("claim", 1)):
		longest = max(pair[place] for pair in first + later)
		yield Figure(f"{name}: {what}", longest, "s", better="lower")
	yield Figure(f"{name}: look at an endpoint", endpoint, "s", better="lower")


def run(runtime: Runtime, clear: Callable[[], None]) -> list[Figure]:
	figures: list[Figure] = []
	wanted = os.environ.get("HUB_MIXTURES", "").split(";")
	for name, values in MIXTURES.items():
		if any(part in name for part in wanted):
			clear()
			fill(runtime, values)
			figures += measure(runtime, name)
			print(*figures[-3:], sep="\n", file=sys.stderr)
	clear()
	return figures


@contextmanager
def standalone_runtime() -> Iterator[StandaloneRuntime]:
	with tempfile.TemporaryDirectory() as folder:
		path = Path(folder) / "hub.toml"
		path.write_text(f'[hub]\n[integration.{NAME}]\nbase_url = "https://example.com"\n')
		with StandaloneRuntime(path) as runtime:
			runtime.db.execute("PRAGMA synchronous = OFF")
			yield runtime


def main() -> None:
	with standalone_runtime() as runtime:
		say(run(runtime, lambda: runtime.db.execute(f"DELETE FROM `tab{inbox.DOCTYPE}`")))


if __name__ == "__main__":
	main()
