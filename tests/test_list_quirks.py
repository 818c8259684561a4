"""The sandbox's moods do what they say, by its own counts; and no stream loses what lives in it."""

from __future__ import annotations

import pytest
import requests

from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.list_quirks import MOODS
from integration_hub.sync.run import run_stream
from tests.compare import source, table


def fetch(crm, size: int = 20) -> list[dict]:
	"""Return the answers to pages 1, 2, … as long as the sandbox says that more waits."""
	answers, more = [], True
	while more:
		params = {"page": len(answers) + 1, "limit": size}
		headers = {"X-API-Key": API_KEY}
		response = requests.get(f"{crm.url}/v1/customers/page", params, headers=headers, timeout=10)
		answers.append({**response.json(), "headers": response.headers})
		more = answers[-1]["has_more"]
	return answers


def listed(answers: list[dict]) -> list[str]:
	return [row["id"] for answer in answers for row in answer["data"]]


def test_holes_hold_back_nothing(crm):
	crm.be("holes")
	answers = fetch(crm)
	assert listed(answers) == [row["id"] for row in crm.customers.alive()]
	assert [len(answer["data"]) for answer in answers[1::2]] == [0] * (len(answers) // 2)


def test_filters_count_what_they_leave_out(crm):
	crm.be("filters")
	answers = fetch(crm)
	assert len(listed(answers)) < crm.counts()["alive"] == answers[0]["total"]


@pytest.mark.parametrize("mood", ["caps", "lies"])
def test_an_end_that_is_none_can_be_told_by_the_counts(crm, mood):
	crm.be(mood)
	[answer] = fetch(crm)
	said = answer["headers"].get("X-Total-Count") or answer["meta"]["total_pages"] * 20
	assert len(answer["data"]) == 20 and int(said) >= crm.counts()["alive"]


def test_a_mood_is_put_on_and_off_over_http(crm):
	assert requests.post(f"{crm.url}/_sandbox/mood", json={"mood": "caps"}, timeout=10).json() == {
		"mood": "caps"
	}
	assert requests.post(f"{crm.url}/_sandbox/mood", json={"mood": "sour"}, timeout=10).status_code == 400
	requests.post(f"{crm.url}/_sandbox/mood", json={"mood": ""}, timeout=10)
	assert crm.mood == ""


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("mood", MOODS)
def test_nothing_that_lives_is_removed_in_any_mood(make_runtime, crm, mood, lanes):
	runtime = make_runtime(
		('pagination = "Page Number"', f'page_size = 20\nlanes = {lanes}\npagination = "Page Number"')
	)
	run_stream(runtime, "customers-full")
	crm.change(create=5, update=20, delete=3)
	gone = {row["customer_id"] for row in table(runtime, "full")} - {
		row["customer_id"] for row in source(crm)
	}
	crm.be(mood)
	row = run_stream(runtime, "customers-full")
	left = {row["customer_id"] for row in table(runtime, "full")}
	assert row["status"] == "Completed"
	if mood == "holes":
		assert (row["deleted"], row["error"]) == (3, None) and table(runtime, "full") == source(crm)
	else:
		assert row["deleted"] == 0 and gone <= left and "not known to be complete" in row["error"]
	crm.be("")
	assert run_stream(runtime, "customers-full")["deleted"] == (0 if mood == "holes" else 3)
	assert table(runtime, "full") == source(crm)
