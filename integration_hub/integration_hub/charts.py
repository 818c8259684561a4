"""What the charts of the workspace show: counts a day, of the integrations that the user may read."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import frappe
from frappe import _
from frappe.utils import add_days, format_date, getdate, nowdate

from integration_hub.homes.site.database import SiteDatabase
from integration_hub.stores.database import Row, in_list
from integration_hub.stores.ids import first_id

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
_DAY = 86_400


def _marked(_) -> tuple[str, ...]:
	"""The names of series, where the translation tools find them."""
	return _("Completed"), _("Waiting"), _("Failed"), _("Dead"), _("Unrouted"), _("Conflict")


def events_a_day() -> dict:
	"""Return the events received on each of the last days, by what became of them."""
	counts: dict[str, dict[str, int]] = {shown: {} for shown in dict.fromkeys(STATES.values())}
	for row in _rows("Webhook Log", "received_at", "status", "COUNT(*)"):
		series = counts[STATES.get(row["series"], "Failed")]
		series[row["day"]] = series.get(row["day"], 0) + int(row["n"])
	return _chart({_(name): values for name, values in counts.items()})


def records_a_day() -> dict:
	"""Return the records that runs wrote on each of the last days, by stream: the busiest, and the others."""
	counts: dict[str, dict[str, int]] = defaultdict(dict)
	for row in _rows("Sync Log", "started_at", "stream", "SUM(`created` + `updated` + `deleted`)"):
		counts[row["series"]][row["day"]] = int(row["n"] or 0)
	ranked = sorted(counts, key=lambda stream: (-sum(counts[stream].values()), stream))
	shown = {stream: counts[stream] for stream in ranked[:_MOST_STREAMS]}
	others: dict[str, int] = defaultdict(int)
	for stream in ranked[_MOST_STREAMS:]:
		for day, count in counts[stream].items():
			others[day] += count
	return _chart({**shown, _("Others"): others} if others else shown)


def _rows(doctype: str, time_field: str, series: str, value: str) -> list[Row]:
	"""Return {"day", "series", "n"} of the last days. The names of rows sort by time: no other index is needed."""
	frappe.has_permission(doctype, "read", throw=True)
	integrations = sorted(frappe.get_list("Integration Settings", pluck="name", limit_page_length=0))
	marks, names = in_list(integrations)
	sql = f"""SELECT DATE(`{time_field}`) AS `day`, `{series}` AS `series`, {value} AS `n` FROM `tab{doctype}`
		WHERE `name` >= %s AND `integration` IN ({marks}) GROUP BY DATE(`{time_field}`), `{series}`"""
	rows = SiteDatabase().query(sql, [first_id(time.time() - (DAYS + 1) * _DAY), *names])
	return [{**row, "day": str(row["day"])} for row in rows]


def _chart(series: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
	if not series:
		return {}  # «No Data»; v16's chart library fails on labels without a dataset
	days: Sequence[str] = [str(getdate(add_days(nowdate(), n - DAYS + 1))) for n in range(DAYS)]
	return {
		"labels": [format_date(day, "d MMM") for day in days],
		"datasets": [
			{"name": name, "values": [values.get(day, 0) for day in days]} for name, values in series.items()
		],
	}
