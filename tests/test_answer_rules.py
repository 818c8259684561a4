"""Answer rules: statuses to ignore, errors within a success, waits in the body, tokens to renew."""

from __future__ import annotations

import time

import pytest

from integration_hub.connectors.answer_rules import AnswerRule, rule_problems
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import run_stream
from tests.list_server import ids, stream_of, things

RULES = """
[[integration.source.answer_rules]]
{}
"""


def with_rules(*rules: str, settings: str = "") -> str:
	return settings + "".join(RULES.format(rule) for rule in rules)


@pytest.fixture
def hub(tmp_path, monkeypatch):
	from tests import list_server

	# The rules stand behind the stream's settings, so its mapping has to stand before them.
	plain = list_server.HUB.replace(
		'{settings}\n\n[stream.things.mapping]\nthing = "id"\n', 'mapping = {{ thing = "id" }}\n{settings}\n'
	)
	monkeypatch.setattr(
		list_server, "HUB", plain.replace("max_attempts = 1", "max_attempts = 3\nmax_wait = 2")
	)
	return lambda answer, text: stream_of(tmp_path, answer, text)


class Answers:
	"""Answers in their order, the last one again and again."""

	def __init__(self, *answers):
		self.answers = list(answers)

	def __call__(self, path, query):
		return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_an_ignored_status_holds_no_records_and_removes_nothing(hub):
	answers = Answers(things(3), (403, {}, {"error": "not in your plan"}))
	with hub(answers, with_rules('statuses = "403"\naction = "Ignore"')) as (_source, runtime):
		run_stream(runtime, "things")
		row = run_stream(runtime, "things")
		assert row["status"] == "Completed" and "an answer was ignored (HTTP 403)" in row["error"]
		assert ids(runtime) == [1, 2, 3]


def test_a_success_that_says_it_failed_fails_with_its_own_words(hub):
	answers = Answers({"data": [{"id": 1}], "code": 17, "msg": "quota used up"})
	rule = 'condition = "code != `0`"\naction = "Fail"\nmessage = "The shop says: {body.msg} ({body.code})"'
	with hub(answers, with_rules(rule, settings='records_path = "data"\n')) as (_source, runtime):
		row = run_stream(runtime, "things")
		assert row["status"] == "Failed" and "The shop says: quota used up (17)" in row["error"]
		assert ids(runtime) == []


def test_a_status_that_is_taken_as_a_success_is_read(hub):
	answers = Answers((299, {}, things(2)), (500, {}, things(3)))
	with hub(answers, with_rules('statuses = "5xx"\naction = "Success"')) as (_source, runtime):
		run_stream(runtime, "things")
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert ids(runtime) == [1, 2, 3]


def test_a_rate_limit_in_the_body_is_waited_for(hub):
	answers = Answers({"error": {"type": "throttled", "in": 0.3}}, things(2))
	rule = 'condition = "error.type == \'throttled\'"\naction = "Rate Limited"\nwait = "error.in"'
	with hub(answers, with_rules(rule)) as (source, runtime):
		began = time.monotonic()
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert len(source.asked) == 2 and time.monotonic() - began >= 0.9


def test_a_long_wait_in_a_header_gives_the_worker_back(hub):
	answers = Answers((400, {"X-Wait": "90"}, {"error": "slow down"}), things(2))
	rule = 'statuses = "400"\naction = "Rate Limited"\nwait = "header:X-Wait"'
	with hub(answers, with_rules(rule)) as (_source, runtime):
		assert run_stream(runtime, "things")["status"] == "Postponed"


def test_a_status_to_retry_is_retried(hub):
	answers = Answers((423, {}, "busy"), (423, {}, "busy"), things(2))
	with hub(answers, with_rules('statuses = "423"\naction = "Retry"')) as (source, runtime):
		assert run_stream(runtime, "things")["status"] == "Completed"
		assert len(source.asked) == 3


def test_the_first_rule_that_fits_decides(hub):
	answers = Answers((404, {}, {"kind": "none yet"}))
	rules = with_rules(
		'statuses = "404"\ncondition = "kind == \'none yet\'"\naction = "Ignore"',
		'statuses = "404"\naction = "Fail"',
	)
	with hub(answers, rules) as (_source, runtime):
		row = run_stream(runtime, "things")
		assert (row["status"], row["fetched"]) == ("Completed", 0)


@pytest.mark.parametrize(
	("rule", "problem"),
	[
		(AnswerRule(action="Ignore"), "neither"),
		(AnswerRule("40"), "'40'"),
		(AnswerRule("6xx"), "'6xx'"),
		(AnswerRule("404", action="Explode"), "'Explode'"),
		(AnswerRule(condition="a["), "a["),
		(AnswerRule("404", wait="a["), "a["),
		(AnswerRule("404", message="{secret}"), "{secret}"),
	],
)
def test_a_rule_that_cannot_work_is_refused_by_its_row(rule, problem):
	found = list(rule_problems([AnswerRule("404"), rule]))
	assert found and found[0].startswith("row 2: ") and problem in found[0]


def test_a_wrong_rule_is_refused_when_the_settings_are_read(hub):
	with pytest.raises(HubError) as refused, hub(Answers([]), with_rules('statuses = "what"')):
		raise AssertionError("it was taken")
	assert refused.value.field == "answer_rules"


def test_a_later_page_that_is_ignored_proves_no_end(hub):
	pages = {"1": things(2), "2": [{"id": 3}]}
	gone = {"now": False}

	def answer(path, query):
		if gone["now"] and query["page"] == "2":
			return 404, {}, {}
		return pages.get(query["page"], [])

	settings = 'pagination = "Page Number"\npage_size = 2\n'
	with hub(answer, with_rules('statuses = "404"\naction = "Ignore"', settings=settings)) as (
		_source,
		runtime,
	):
		run_stream(runtime, "things")
		gone["now"] = True
		assert run_stream(runtime, "things")["deleted"] == 0
		assert ids(runtime) == [1, 2, 3]
