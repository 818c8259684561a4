"""What is told of without looking: silence by a source's own habit, failing streams, events given up."""

from __future__ import annotations

import time

import pytest

from integration_hub.homes import arrivals as habits
from integration_hub.homes import watch
from integration_hub.homes.arrivals import Arrivals, silent_since
from integration_hub.stores import inbox
from integration_hub.stores.database import insert, update
from integration_hub.stores.ids import first_id

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
MIDNIGHT = 1_800_000_000.0 - 1_800_000_000.0 % DAY


def arrive(home, *times: float, status: str = "Completed") -> None:
	for number, at in enumerate(times):
		row = {
			"name": f"{first_id(at)}{number % 10**10:010d}",
			"integration": "crm",
			"status": status,
			"event_key": f"{at}",
			"modified": home.now(),
		}
		insert(home.db, inbox.DOCTYPE, row)


def every(step: float, start: float, end: float) -> list[float]:
	return [start + n * step for n in range(int((end - start) / step))]


def silent(home, now: float) -> bool:
	where = "`integration` = %s AND `status` = 'Completed'"
	return silent_since(Arrivals(home.db, inbox.DOCTYPE, where, ["crm"]), now) is not None


def test_silence_is_measured_by_what_is_usual(home):
	times = every(10 * MINUTE, MIDNIGHT, MIDNIGHT + 2 * DAY)
	arrive(home, *times)
	assert not silent(home, times[-1] + 25 * MINUTE)
	assert silent(home, times[-1] + 65 * MINUTE)


def test_of_few_events_no_habit_is_made(home):
	arrive(home, *every(MINUTE, MIDNIGHT, MIDNIGHT + (habits.ENOUGH - 1) * MINUTE))
	assert not silent(home, MIDNIGHT + 300 * DAY)


def office_hours(days: int) -> list[float]:
	"""An event each five minutes from eight to six."""
	return [
		at
		for day in range(days)
		for at in every(5 * MINUTE, MIDNIGHT + day * DAY + 8 * HOUR, MIDNIGHT + day * DAY + 18 * HOUR)
	]


@pytest.mark.parametrize("sample", [2000, 30])
def test_a_night_is_no_silence_and_a_day_without_events_is_one(home, monkeypatch, sample):
	"""Be the night within the sample, or the source so busy that the sample holds no night."""
	monkeypatch.setattr(habits, "_SAMPLE", sample)
	arrive(home, *office_hours(5))
	assert not silent(home, MIDNIGHT + 4 * DAY + 23 * HOUR)
	assert not silent(home, MIDNIGHT + 5 * DAY + 3 * HOUR)
	assert silent(home, MIDNIGHT + 5 * DAY + 17 * HOUR)


def test_a_source_that_rests_at_weekends_may_rest_this_weekend(home, monkeypatch):
	monkeypatch.setattr(habits, "_SAMPLE", 30)
	arrive(home, *(at for at in office_hours(12) if (at - MIDNIGHT) // DAY % 7 < 5))
	saturday = MIDNIGHT + 12 * DAY
	assert not silent(home, saturday + 12 * HOUR)
	assert not silent(home, saturday + DAY + 12 * HOUR)
	assert silent(home, saturday + 2 * DAY + 17 * HOUR), "but not on Monday as well"


def told(home) -> list[tuple[str, str]]:
	names = watch.look(home)
	rows = {row["name"]: row for row in home.db.query("SELECT * FROM `tabIntegration Error Log`")}
	return [(rows[name]["kind"], rows[name]["stream"] or rows[name]["integration"]) for name in names]


def status(home, kind: str) -> str:
	sql = "SELECT `status` FROM `tabIntegration Error Log` WHERE `operation` = 'Watch' AND `kind` = %s"
	return home.db.query(sql, [kind])[0]["status"]


def resolve(home, kind: str) -> None:
	home.db.execute("UPDATE `tabIntegration Error Log` SET `status` = 'Resolved' WHERE `kind` = %s", [kind])


def test_a_silence_is_told_once_and_is_over_when_something_comes(home):
	start = time.time() - 2 * DAY
	arrive(home, *every(5 * MINUTE, start, start + DAY))
	assert told(home) == [("Silence", "crm")]
	assert told(home) == []
	resolve(home, "Silence")
	assert told(home) == [], "whoever has resolved it knows of it"
	arrive(home, time.time() - MINUTE)
	assert told(home) == []
	arrive(home, time.time())
	resolve(home, "Silence")
	assert status(home, "Silence") == "Resolved"


def test_a_silence_that_ends_is_resolved_by_itself(home):
	start = time.time() - 2 * DAY
	arrive(home, *every(5 * MINUTE, start, start + DAY))
	told(home)
	assert status(home, "Silence") == "Open"
	arrive(home, time.time() - MINUTE)
	told(home)
	assert status(home, "Silence") == "Resolved"


def test_events_that_come_and_fail_are_no_silence(home):
	start = time.time() - 2 * DAY
	arrive(home, *every(5 * MINUTE, start, start + DAY))
	arrive(home, time.time() - HOUR, status="Failed")
	assert told(home) == []


def test_events_given_up_are_told_of_again_only_when_others_are(home):
	arrive(home, time.time() - 60, status="Dead")
	home.db.execute("UPDATE `tabWebhook Log` SET `modified` = '2026-01-01 10:00:00'")
	assert told(home) == [("Dead Events", "crm")]
	resolve(home, "Dead Events")
	assert told(home) == []
	arrive(home, time.time() - 30, status="Dead")
	assert told(home) == [("Dead Events", "crm")]
	inbox.requeue(home, inbox.select(home, integration="crm"))
	home.db.execute("UPDATE `tabWebhook Log` SET `status` = 'Completed'")
	assert told(home) == []
	assert status(home, "Dead Events") == "Resolved"


def test_a_stream_is_told_of_after_as_many_failures_as_it_says(home):
	failing = {"consecutive_failures": 2, "alert_after": 3}
	update(home.db, "Sync Settings", "customers-full", failing)
	update(home.db, "Sync Settings", "customers-cursor", {"consecutive_failures": 50, "alert_after": 0})
	assert told(home) == []
	update(home.db, "Sync Settings", "customers-full", {"consecutive_failures": 3})
	assert told(home) == [("Stream Failing", "customers-full")]
	update(home.db, "Sync Settings", "customers-full", {"consecutive_failures": 4})
	assert told(home) == []
	update(home.db, "Sync Settings", "customers-full", {"consecutive_failures": 0})
	told(home)
	assert status(home, "Stream Failing") == "Resolved"
	failing = {"consecutive_failures": 3, "last_success_at": home.now()}
	update(home.db, "Sync Settings", "customers-full", failing)
	assert told(home) == [("Stream Failing", "customers-full")]


def test_what_is_told_of_a_token_names_its_end(home):
	[problem] = watch.expiring(home, "crm", time.time() + HOUR)
	watch.look(home, [problem])
	[row] = home.db.query("SELECT * FROM `tabIntegration Error Log`")
	assert watch.local(home, time.time() + HOUR)[:13] in row["message"]
	assert list(watch.expiring(home, "crm", time.time() + 10 * DAY)) == []


def test_what_could_not_be_told_is_told_at_the_next_look(home):
	"""A process that dies while it tells has not told."""
	arrive(home, time.time(), status="Dead")

	def dies(name: str) -> None:
		raise KeyboardInterrupt

	with pytest.raises(KeyboardInterrupt):
		watch.look(home, tell=dies)
	said: list[str] = []
	assert watch.look(home, tell=said.append) == said
	assert len(said) == 1
	assert watch.look(home, tell=said.append) == []


def test_events_given_up_of_a_disabled_integration_are_not_spoken_of(home):
	arrive(home, time.time(), status="Dead")
	update(home.db, "Integration Settings", "crm", {"enabled": 0})
	assert told(home) == []
	home.db.execute("DELETE FROM `tabIntegration Settings` WHERE `name` = %s", ["crm"])
	assert told(home) == []
