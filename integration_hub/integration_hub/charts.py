"""Charts of the workspace: counts a day, of the integrations that the user may read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import frappe
from frappe import _
from frappe.utils import add_days, format_date, get_system_timezone, getdate, nowdate

from integration_hub.runtime.frappe.database import FrappeDatabase
from integration_hub.stores.database import Row, in_list
from integration_hub.stores.ids import first_id, key

DAYS = 14
# What an event's states are shown as: always the same ones, so that each keeps its colour.
STATES = {
	"Completed": "Completed",
	"Queued": "Waiting",
	"Processing": "Waiting",
	"Failed": "Failed",
	"Dead": "Dead",
	"Unrouted": "Unrouted",
	"Conflict": "Conflict",
}
_MOST_STREAMS = 6
_FRESH = 120  # seconds for which a count of events is good
CACHED = "integration_hub:events_a_day"  # what the names of those that are kept begin with


def _marked(_) -> tuple[str, ...]:
	"""The names of series, where the translation tools find them."""
	return _("Completed"), _("Waiting"), _("Failed"), _("Dead"), _("Unrouted"), _("Conflict")


def events_a_day() -> dict:
	"""Return the events received on each of the last days, by what became of them."""
	counts: dict[str, dict[str, int]] = {shown: {} for shown in dict.fromkeys(STATES.values())}
	for row in _events():
		series = counts[STATES[row["status"]]]
		series[row["day"]] = series.get(row["day"], 0) + int(row["n"])
	return _chart({_(name): values for name, values in counts.items()})


def records_a_day() -> dict:
	"""Return the records that runs wrote on each of the last days, by stream: the busiest, and the others."""
	counts: dict[str, dict[str, int]] = defaultdict(dict)
	for row in _runs():
		counts[row["stream"]][row["day"]] = int(row["n"] or 0)
	ranked = sorted(counts, key=lambda stream: (-sum(counts[stream].values()), stream))
	shown = {stream: counts[stream] for stream in ranked[:_MOST_STREAMS]}
	others: dict[str, int] = defaultdict(int)
	for stream in ranked[_MOST_STREAMS:]:
		for day, count in counts[stream].items():
			others[day] += count
	return _chart({**shown, _("Others"): others} if others else shown)


def _events() -> list[Row]:
	"""Return {"day", "status", "n"} of the last days' events, counted at most once in _FRESH seconds."""
	integrations = _integrations("Webhook Log")
	name = f"{CACHED}:{nowdate()}:{key(*integrations)}"
	rows = frappe.cache.get_value(name, expires=True)
	if rows is None:
		rows = _count_events(integrations)
		frappe.cache.set_value(name, rows, expires_in_sec=_FRESH)
	return rows


def _count_events(integrations: Sequence[str]) -> list[Row]:
	"""Count events by day and status from an index alone, for names sort by time: no row with its body is read."""
	db, days = FrappeDatabase(), _days()
	first, *later = (first_id(_begins(day)) for day in days)
	day = " ".join(f"WHEN `name` < %s THEN '{day}'" for day in days[:-1])
	(marks, names), (states, statuses) = in_list(integrations), in_list(STATES)
	# MariaDB reads rows by the primary key where it expects that nearly all will be counted.
	hint = "IGNORE INDEX (PRIMARY)" if db.dialect == "mariadb" else ""
	sql = f"""SELECT CASE {day} ELSE '{days[-1]}' END AS `day`, `status`, COUNT(*) AS `n` FROM `tabWebhook Log` {hint}
		WHERE `integration` IN ({marks}) AND `status` IN ({states}) AND `name` >= %s GROUP BY `day`, `status`"""
	return db.query(sql, [*later, *names, *statuses, first])


def _runs() -> list[Row]:
	"""Return {"day", "stream", "n": records written} of the last days' runs."""
	marks, names = in_list(_integrations("Sync Log"))
	sql = f"""SELECT DATE(`started_at`) AS `day`, `stream`, SUM(`created` + `updated` + `deleted`) AS `n`
		FROM `tabSync Log` WHERE `name` >= %s AND `integration` IN ({marks}) GROUP BY DATE(`started_at`), `stream`"""
	rows = FrappeDatabase().query(sql, [first_id(_begins(_days()[0])), *names])
	return [{**row, "day": str(row["day"])} for row in rows]


def _integrations(doctype: str) -> list[str]:
	"""Return the integrations whose logs the user may see. Raises PermissionError if that is none at all."""
	frappe.has_permission(doctype, "read", throw=True)
	return sorted(frappe.get_list("Integration Settings", pluck="name", limit_page_length=0))


def _days() -> list[str]:
	return [str(getdate(add_days(nowdate(), n - DAYS + 1))) for n in range(DAYS)]


def _begins(day: str) -> float:
	"""Return when a day of the site's begins, in seconds since the epoch."""
	return datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(get_system_timezone())).timestamp()


def _chart(series: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
	if not series:
		return {}  # «No Data»; v16's chart library fails on labels without a dataset
	days = _days()
	return {
		"labels": [format_date(day, "d MMM") for day in days],
		"datasets": [
			{"name": name, "values": [values.get(day, 0) for day in days]} for name, values in series.items()
		],
	}
