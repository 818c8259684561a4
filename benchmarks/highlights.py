"""The ten lines that docs/performance.md begins with: sentences around figures that are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import floor, log10
from typing import Any

# «{benchmark: figure}» stands for the kept figure with its unit.
LINES = (
	"**Bulk** loads {sync_on_site: Bulk, first load} into MariaDB. That is {sync_on_site: Bulk / raw, first load} what "
	"the database driver does with bare rows. At a million records it is {sync_million_on_site: Bulk, first load}.",
	"**Documents** loads {sync_on_site: Documents, first load}: {sync_on_site: Documents / naive, first load} the usual "
	"loop of `get_doc().insert()` with a commit per 100.",
	"**A run that finds 10% changed** does {sync_on_site: Documents, 10% changed} with Documents, "
	"{sync_on_site: Documents / naive, 10% changed} the usual loop, and {sync_on_site: Bulk, 10% changed} with Bulk.",
	"**A run that finds nothing changed** reads {sync_on_site: Documents, nothing changed}, in both ways of writing.",
	"**Memory** does not grow with the list: {sync_million_on_site: peak memory after 10,000 records} after 10,000 "
	"records, {sync_million_on_site: peak memory after 1,000,000 records, three times} after a million.",
	"**Parallel requests** pay where the source is far away: at 100 ms, four lanes fetch "
	"{connectors: 4 lanes at 100 ms / 1 lane} as fast as one.",
	"**The rate budget** is used, not exceeded: eight processes use {connectors: 8 processes against 100 requests per "
	"10 s, used}, and the system refuses {connectors: 8 processes against 100 requests per 10 s, refused with 429}.",
	"**The receiver** takes {endpoints_on_site: receiver, 8 connections} at a p99 of {endpoints_on_site: receiver, 8 connections, "
	"p99}; the site's endpoint takes {endpoints_on_site: site's endpoint, 8 connections}, close to what `frappe.ping` "
	"answers ({endpoints_on_site: frappe.ping, 8 connections}).",
	"**Handling** events: one worker handles {inbox_drain: one drain, trivial handler}, "
	"{inbox_drain: one drain, trivial handler / one job an event} as many as with one job per event. At 100 events a "
	"second, half of them are done {inbox_lag_on_site: POST to Completed, 100 events a second, p50} after the POST.",
	"**Queues**: a consumer takes {queue_standalone: ours, List} off a Redis list, {queue_standalone: ours, List / BRPOP} as "
	"many as a loop of `BRPOP`, insert and commit.",
)
_PLACE = re.compile(r"\{(\w+): ([^}]+)\}")


def highlights(kept: Mapping[str, Any]) -> str:
	"""Return the lines as a numbered list of Markdown; a line of whose figures one is not kept is left out."""
	lines = (_filled(line, kept) for line in LINES)
	return "".join(f"{number}. {line}\n" for number, line in enumerate(filter(None, lines), 1))


def _filled(line: str, kept: Mapping[str, Any]) -> str:
	found = [_figure(kept, *match.groups()) for match in _PLACE.finditer(line)]
	figures = iter(found)
	return "" if None in found else _PLACE.sub(lambda _: next(figures), line)


def _figure(kept: Mapping[str, Any], benchmark: str, name: str) -> str | None:
	for figure in kept.get(benchmark, {}).get("figures", ()):
		if figure["name"] == name:
			unit = {"×": " times", "% of it": "% of it"}.get(figure["unit"], f" {figure['unit']}")
			return f"{rounded(figure['value'])}{unit}"
	return None


def rounded(value: float) -> str:
	"""Return a number with the two digits that a person remembers."""
	places = 1 - floor(log10(abs(value))) if value else 0
	return f"{round(value, places):,.{max(places, 0)}f}"
