"""Problems that are reported without anybody looking: silence by a source's own habit, failing streams, events given up."""

from __future__ import annotations

import time

import pytest

from integration_hub.runtime import freshness as habits
from integration_hub.runtime import monitors
from integration_hub.runtime.freshness import Arrivals, silent_since
from integration_hub.stores import inbox
from integration_hub.stores.database import insert, update
from integration_hub.stores.ids import first_id

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
MIDNIGHT = 1_800_000_000.0 - 1_800_000_000.0 % DAY


def arrive(runtime, *times: float, status: str = "Completed") -> None:
	for number, at in enumerate(times):
		row = {
			"name": f"{first_id(at)}{number % 10**10:010d}",
			"integration": "crm",
			"status": status,
			"event_key": f"{at}",
			"modified": runtime.now(),
		}
		insert(runtime.db, inbox.DOCTYPE, row)


def every(step: float, start: float, end: float) -> list[float]:
	return [start + n * step for n in range(int((end - start) / step))]


def silent(runtime, now: float) -> bool:
	where = "`integration` = %s AND `status` = 'Completed'"
	return silent_since(Arrivals(runtime.db, inbox.DOCTYPE, where, ["crm"]), now) is not None


def test_silence_is_measured_by_what_is_usual(runtime):
	times = every(10 * MINUTE, MIDNIGHT, MIDNIGHT + 2 * DAY)
	arrive(runtime, *times)
	assert not silent(runtime, times[-1] + 25 * MINUTE)
	assert silent(runtime, times[-1] + 65 * MINUTE)


def test_of_few_events_no_habit_is_made(runtime):
	arrive(runtime, *every(MINUTE, MIDNIGHT, MIDNIGHT + (habits.ENOUGH - 1) * MINUTE))
	assert not silent(runtime, MIDNIGHT + 300 * DAY)


def office_hours(days: int) -> list[float]:
	"""An event each five minutes from eight to six."""
	return [
		at
		for day in range(days)
		for at in every(5 * MINUTE, MIDNIGHT + day * DAY + 8 * HOUR, MIDNIGHT + day * DAY + 18 * HOUR)
	]


@pytest.mark.parametrize("sample", [2000, 30])
def test_a_night_is_no_silence_and_a_day_without_events_is_one(runtime, monkeypatch, sample):
	"""Be the night within the sample, or the source so busy that the sample holds no night."""
	monkeypatch.setattr(habits, "_SAMPLE", sample)
	arrive(runtime, *office_hours(5))
	assert not silent(runtime, MIDNIGHT + 4 * DAY + 23 * HOUR)
	assert not silent(runtime, MIDNIGHT + 5 * DAY + 3 * HOUR)
	assert silent(runtime, MIDNIGHT + 5 * DAY + 17 * HOUR)


def test_a_source_that_rests_at_weekends_may_rest_this_weekend(runtime, monkeypatch):
	monkeypatch.setattr(habits, "_SAMPLE", 30)
	arrive(runtime, *(at for at in office_hours(12) if (at - MIDNIGHT) // DAY % 7 < 5))
	saturday = MIDNIGHT + 12 * DAY
	assert not silent(runtime, saturday + 12 * HOUR)
	assert not silent(runtime, saturday + DAY + 12 * HOUR)
	assert silent(runtime, saturday + 2 * DAY + 17 * HOUR), "but not on Monday as well"


def told(runtime) -> list[tuple[str, str]]:
	names = monitors.check_problems(runtime)
	rows = {row["name"]: row for row in runtime.db.query("SELECT * FROM `tabIntegration Error Log`")}
	return [(rows[name]["kind"], rows[name]["stream"] or rows[name]["integration"]) for name in names]


def status(runtime, kind: str) -> str:
	sql = "SELECT `status` FROM `tabIntegration Error Log` WHERE `operation` = 'Watch' AND `kind` = %s"
	return runtime.db.query(sql, [kind])[0]["status"]


def resolve(runtime, kind: str) -> None:
	runtime.db.execute(
		"UPDATE `tabIntegration Error Log` SET `status` = 'Resolved' WHERE `kind` = %s", [kind]
	)


def test_a_silence_is_told_once_and_is_over_when_something_comes(runtime):
	start = time.time() - 2 * DAY
	arrive(runtime, *every(5 * MINUTE, start, start + DAY))
	assert told(runtime) == [("Silence", "crm")]
	assert told(runtime) == []
	resolve(runtime, "Silence")
	assert told(runtime) == [], "the person who has resolved it knows of it"
	arrive(runtime, time.time() - MINUTE)
	assert told(runtime) == []
	arrive(runtime, time.time())
	resolve(runtime, "Silence")
	assert status(runtime, "Silence") == "Resolved"


def test_a_silence_that_ends_is_resolved_by_itself(runtime):
	start = time.time() - 2 * DAY
	arrive(runtime, *every(5 * MINUTE, start, start + DAY))
	told(runtime)
	assert status(runtime, "Silence") == "Open"
	arrive(runtime, time.time() - MINUTE)
	told(runtime)
	assert status(runtime, "Silence") == "Resolved"


def test_events_that_come_and_fail_are_no_silence(runtime):
	start = time.time() - 2 * DAY
	arrive(runtime, *every(5 * MINUTE, start, start + DAY))
	arrive(runtime, time.time() - HOUR, status="Failed")
	assert told(runtime) == []


def test_events_given_up_are_told_of_again_only_when_others_are(runtime):
	arrive(runtime, time.time() - 60, status="Dead")
	runtime.db.execute("UPDATE `tabWebhook Log` SET `modified` = '2026-01-01 10:00:00'")
	assert told(runtime) == [("Dead Events", "crm")]
	resolve(runtime, "Dead Events")
	assert told(runtime) == []
	arrive(runtime, time.time() - 30, status="Dead")
	assert told(runtime) == [("Dead Events", "crm")]
	inbox.requeue(runtime, inbox.select(runtime, integration="crm"))
	runtime.db.execute("UPDATE `tabWebhook Log` SET `status` = 'Completed'")
	assert told(runtime) == []
	assert status(runtime, "Dead Events") == "Resolved"


def test_a_stream_is_told_of_after_as_many_failures_as_it_says(runtime):
	failing = {"consecutive_failures": 2, "alert_after": 3}
	update(runtime.db, "Sync Settings", "customers-full", failing)
	update(runtime.db, "Sync Settings", "customers-cursor", {"consecutive_failures": 50, "alert_after": 0})
	assert told(runtime) == []
	update(runtime.db, "Sync Settings", "customers-full", {"consecutive_failures": 3})
	assert told(runtime) == [("Stream Failing", "customers-full")]
	update(runtime.db, "Sync Settings", "customers-full", {"consecutive_failures": 4})
	assert told(runtime) == []
	update(runtime.db, "Sync Settings", "customers-full", {"consecutive_failures": 0})
	told(runtime)
	assert status(runtime, "Stream Failing") == "Resolved"
	failing = {"consecutive_failures": 3, "last_success_at": runtime.now()}
	update(runtime.db, "Sync Settings", "customers-full", failing)
	assert told(runtime) == [("Stream Failing", "customers-full")]


def test_what_is_told_of_a_token_names_its_end(runtime):
	[problem] = monitors.expiring(runtime, "crm", time.time() + HOUR)
	monitors.check_problems(runtime, [problem])
	[row] = runtime.db.query("SELECT * FROM `tabIntegration Error Log`")
	assert monitors.local(runtime, time.time() + HOUR)[:13] in row["message"]
	assert list(monitors.expiring(runtime, "crm", time.time() + 10 * DAY)) == []


def test_what_could_not_be_told_is_told_at_the_next_look(runtime):
	"""A process that dies while it tells has not told."""
	arrive(runtime, time.time(), status="Dead")

	def dies(name: str) -> None:
		raise KeyboardInterrupt

	with pytest.raises(KeyboardInterrupt):
		monitors.check_problems(runtime, notify=dies)
	said: list[str] = []
	assert monitors.check_problems(runtime, notify=said.append) == said
	assert len(said) == 1
	assert monitors.check_problems(runtime, notify=said.append) == []


def test_events_given_up_of_a_disabled_integration_are_not_spoken_of(runtime):
	arrive(runtime, time.time(), status="Dead")
	update(runtime.db, "Integration Settings", "crm", {"enabled": 0})
	assert told(runtime) == []
	runtime.db.execute("DELETE FROM `tabIntegration Settings` WHERE `name` = %s", ["crm"])
	assert told(runtime) == []
