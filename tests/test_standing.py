"""The status of a run, a stream and an integration, over all that may be known of them."""

from __future__ import annotations

from itertools import product

import pytest

from integration_hub.stores.doctype_tables import doctypes
from integration_hub.stores.statuses import (
	BROKEN_OFF,
	IntegrationFacts,
	QueueFacts,
	StreamFacts,
	integration_standing,
	run_status,
	stream_standing,
)

ENDS = ("", "Completed", "Partial", "Failed", "Interrupted", "Postponed", "Needs Approval")


def options(doctype: str) -> set[str]:
	fields = {field["fieldname"]: field for field in doctypes()[doctype]["fields"]}
	return set(fields["status"]["options"].split("\n"))


@pytest.mark.parametrize(
	("fetched", "deleted", "failed", "again", "waiting", "status"),
	[
		(0, 0, 0, 0, 0, "Completed"),
		(9, 0, 0, 0, 0, "Completed"),
		(9, 0, 1, 0, 0, "Partial"),
		(9, 0, 9, 0, 0, "Failed"),
		(9, 0, 9, 9, 0, "Partial"),
		(0, 0, 3, 3, 0, "Partial"),
		(0, 4, 2, 0, 0, "Partial"),
		(0, 0, 2, 0, 0, "Failed"),
		(9, 0, 9, 0, 1, "Needs Approval"),
	],
)
def test_a_run_ends_as_its_records_did(fetched, deleted, failed, again, waiting, status):
	assert run_status(fetched, deleted, failed, again, waiting) == status


ALL_STREAMS = [
	StreamFacts(*facts) for facts in product((False, True), ENDS, (0, 1, 5), (0, 1, 1000), (0, 7), (0, 2))
]


@pytest.mark.parametrize("running", [False, True])
def test_no_failure_of_a_stream_stands_behind_a_good_status(running):
	for facts in ALL_STREAMS:
		if facts.running is not running:
			continue
		found = stream_standing(facts)
		assert found.status in options("Sync Settings")
		assert (found.status == "Running") is facts.running
		broken = facts.last in BROKEN_OFF and (facts.in_a_row or facts.open)
		bad = bool(facts.failed or broken or (facts.last == "Partial" and facts.open))
		if not running:
			assert (found.status == "Failing") is bad, facts
			assert (found.status == "Needs Approval") is (not bad and bool(facts.held)), facts
		if bad or facts.held:
			assert found.why, facts
		if found.status in ("OK", "New"):
			assert not found.why
			assert (found.status == "New") is (facts.last == "")


def test_why_a_stream_fails_is_said_with_numbers():
	facts = StreamFacts(last="Failed", in_a_row=3, failed=2, held=40)
	assert [str(text) for text in stream_standing(facts).why] == [
		"The last run failed.",
		"Failed runs in a row: 3.",
		"Records that could not be written: 2.",
		"Documents that wait for approval before they are deleted: 40.",
	]


def test_an_integration_is_no_better_than_its_worst_part():
	queues = (None, QueueFacts(), QueueFacts(error="Connection refused"), QueueFacts(unread=True))
	streams = ({}, {"OK": 2}, {"OK": 1, "Failing": 1}, {"Needs Approval": 1}, {"Running": 1})
	events = ({}, {"Queued": 4}, {"Dead": 1}, {"Failed": 1}, {"Unrouted": 1}, {"Conflict": 1})
	for enabled, used, failed, paused, queue, held, inbox, count in product(
		(True, False), (True, False), (True, False), (True, False), queues, streams, events, (0, 3)
	):
		facts = IntegrationFacts(enabled, used, failed, paused, queue, held, inbox, count)
		found = integration_standing(facts)
		failing = failed or count or "Failing" in held or inbox.keys() & {"Dead", "Failed"}
		failing = bool(failing or (queue and (queue.error or queue.unread)))
		look = "Needs Approval" in held or bool(inbox.keys() & {"Unrouted", "Conflict"})
		expected = "New" if not used else "OK"
		expected = "To Look At" if look else expected
		expected = "Failing" if failing else expected
		expected = "Paused" if paused else expected
		assert found.status == (expected if enabled else "Disabled"), facts
		assert bool(found.why) is (enabled and (failing or look or paused)), facts
