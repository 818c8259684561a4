"""Retries of events by the settings of their integration: attempts, pauses, and the moment they are Dead."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.config import IntegrationConfig, integration_problems
from integration_hub.stores.database import update
from integration_hub.stores.ids import first_id, new_id
from integration_hub.stores.work_table import INBOX
from integration_hub.sync.sweeping import CLAIM_SECONDS
from integration_hub.webhooks.drain import drain, sweep
from integration_hub.webhooks.event_retries import LONGEST_PAUSE, MAX_ATTEMPTS, EventRetries, pauses_problem
from tests.webhook_sender import Sender

FAILING = {"id": 1, "event": "customer.created", "data": 5}


def failing(make_runtime, **settings) -> Sender:
	sender = Sender(make_runtime, event_id_path="id", event_type_path="event", **settings)
	sender.send(FAILING)
	return sender


def again(sender: Sender) -> dict:
	sender.runtime.db.execute(
		"UPDATE `tabWebhook Log` SET `next_attempt_at` = '2020-01-01 00:00:00', `turn` = 0"
	)
	drain(sender.runtime, "crm")
	return sender.rows()[0]


def schedule(**settings) -> EventRetries:
	return EventRetries.of(IntegrationConfig("x", **settings))


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_event_is_dead_after_as_many_attempts_as_its_integration_says(make_runtime, attempts):
	sender = failing(make_runtime, event_attempts=attempts)
	states = [again(sender)["status"] for _ in range(attempts)]
	assert states == ["Failed"] * (attempts - 1) + ["Dead"]
	assert again(sender)["attempts"] == attempts


def test_a_worker_that_died_at_the_last_attempt_leaves_a_dead_event(make_runtime):
	sender = failing(make_runtime, event_attempts=2)
	lost = {"status": INBOX.taken, "attempts": 2, "claim": "", "claimed_at": "2020-01-01 00:00:00"}
	update(sender.runtime.db, "Webhook Log", sender.rows()[0]["name"], lost)
	sweep(sender.runtime)
	assert sender.rows()[0]["status"] == "Dead" and CLAIM_SECONDS > 0


def test_without_a_setting_it_is_as_it_was(make_runtime):
	sender = failing(make_runtime)
	assert (EventRetries(), schedule().attempts) == (schedule(), MAX_ATTEMPTS)
	lost = {"status": INBOX.taken, "attempts": 7, "claim": "", "claimed_at": "2020-01-01 00:00:00"}
	update(sender.runtime.db, "Webhook Log", sender.rows()[0]["name"], lost)
	sweep(sender.runtime)
	assert sender.rows()[0]["status"] == "Failed"


def test_pauses_are_those_of_the_settings_and_the_last_one_repeats():
	retries, name = schedule(event_retry_pauses="30s, 10m 2h 90", event_attempts=7), new_id()
	pauses = [retries.delay(attempt, name) for attempt in range(1, 8)]
	assert pauses[-1] is None
	for pause, longest in zip(pauses[:-1], [30, 600, 7200, 90, 90, 90], strict=True):
		assert 0.8 * longest <= pause <= longest


def test_an_old_event_is_dead_whatever_attempts_are_left_and_its_last_attempt_is_at_that_moment():
	retries = schedule(event_dead_hours=1.0, event_retry_pauses="8h")
	young, middle, old = (first_id(time.time() - age) + "0" * 10 for age in (60, 1800, 3700))
	assert 3400 < retries.delay(2, young) < 3600
	assert 1700 < retries.delay(2, middle) < 1810
	assert retries.delay(2, old) is None
	assert retries.delay(1, old) is not None, "a person has had it replayed, or it waited for a worker"


@given(st.integers(1, 200), st.text(max_size=30), st.floats(0, 10_000, allow_nan=False), st.integers(1, 100))
def test_whatever_the_settings_a_pause_is_between_nothing_and_eight_hours(attempts, pauses, hours, most):
	retries = schedule(event_retry_pauses=pauses, event_dead_hours=hours, event_attempts=most)
	delay = retries.delay(attempts, new_id())
	assert (delay is None) if attempts >= most else delay is None or 0 <= delay <= LONGEST_PAUSE


@pytest.mark.parametrize("pauses", ["x", "30s;10m", "9h", "0", "1d", "-5", "1 " * 60, "1.5h"])
def test_pauses_that_cannot_be_are_refused(make_runtime, pauses):
	assert pauses_problem(pauses)
	with pytest.raises(Exception, match="event_retry_pauses"):
		Sender(make_runtime, event_retry_pauses=pauses)


@pytest.mark.parametrize(
	"settings", [{"event_attempts": 0}, {"event_attempts": 101}, {"event_dead_hours": -1}]
)
def test_numbers_out_of_range_are_refused(settings):
	config = IntegrationConfig("x", base_url="https://x", **settings)
	assert [field for field, _ in integration_problems(config, {})] == [*settings]
