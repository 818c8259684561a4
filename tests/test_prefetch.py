"""Fetching one page ahead of what is written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from integration_hub.connectors import errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.prefetch import Prefetcher
from integration_hub.connectors.registry import connector_for
from integration_hub.connectors.rest import RestConnector
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from integration_hub.sync.run import run_stream
from tests.compare import source, table
from tests.test_connectors import FAST, LOCAL, Memory

STYLES = [
	("Page Number", "page"),
	("Offset", "offset"),
	("Cursor", "cursor"),
	("Next Link", "next"),
	("Link Header", "link"),
]


def open_connector(crm: Sandbox, **settings):
	config = IntegrationConfig("crm", base_url=crm.url, **{"auth_type": "API Key Header", **FAST, **settings})
	secrets = Memory(secret=API_KEY, client_secret="sandbox-client-secret")
	return connector_for(config, secrets, LocalCoordination(), {}, LOCAL)


def a_list(kind: str = "Page Number", style: str = "page", ahead: bool = True) -> ListRequest:
	pagination = {"kind": kind, "page_size": 20, "page_size_param": "limit", "page_param": ""}
	pagination |= {"cursor_path": "", "more_path": ""}
	path = "" if style == "link" else "data"
	return ListRequest(f"/v1/customers/{style}", records_path=path, pagination=pagination, ahead=ahead)


def until(condition: Callable[[], bool]) -> None:
	for _ in range(1000):
		if condition():
			return
		time.sleep(0.01)
	raise AssertionError("it does not come")


@pytest.mark.parametrize(("kind", "style"), STYLES)
def test_all_records_come_in_their_order_through_faults(crm, kind, style):
	crm.faults.set(rates={"500": 0.1, "reset": 0.05, "truncate": 0.05})
	with open_connector(crm) as connector:
		found = [record["id"] for page in connector.pages(a_list(kind, style)) for record in page.records]
	assert found == [row["id"] for row in crm.customers.alive()]


def test_the_next_page_is_on_its_way_while_one_is_in_hand_and_no_more_than_that(crm):
	with open_connector(crm) as connector:
		pages = connector.pages(a_list())
		next(pages)
		until(lambda: crm.requests == 2)
		next(pages)
		until(lambda: crm.requests == 3)
		assert len(list(pages)) == 12 and crm.requests == 14


def test_who_did_not_ask_for_it_gets_none(crm):
	with open_connector(crm) as connector:
		pages = connector.pages(a_list(ahead=False))
		next(pages)
		assert crm.requests == 1
		assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_a_token_that_runs_out_on_the_way_is_renewed(crm):
	settings = {"auth_type": "OAuth2 Client Credentials", "client_id": "sandbox"}
	with open_connector(crm, token_url=f"{crm.url}/oauth/token", **settings) as connector:
		found = 0
		for page in connector.pages(a_list()):
			found += len(page.records)
			if found == 100:
				crm.tokens.revoke_all()
	assert found == 250 and crm.tokens.issued == 2


def test_what_the_next_page_meets_does_not_harm_the_one_in_hand(crm):
	crm.faults.set(following=["none", *["garbage"] * 3])
	with open_connector(crm) as connector:
		pages = connector.pages(a_list())
		assert len(next(pages).records) == 20
		with pytest.raises(errors.MalformedAnswer):
			next(pages)


@pytest.mark.parametrize(("stream", "ahead"), [("full", True), ("incremental", False), ("cursor", False)])
def test_only_what_can_be_counted_off_is_asked_for_before_it_is_wanted(
	make_runtime, crm, monkeypatch, stream, ahead
):
	begun = []
	monkeypatch.setattr(Prefetcher, "begin", lambda fetcher: begun.append(fetcher))
	runtime = make_runtime()
	assert run_stream(runtime, f"customers-{stream}")["status"] == "Completed"
	assert bool(begun) is ahead
	assert table(runtime, stream) == source(crm)


def test_a_page_that_nobody_waits_for_any_more_holds_nothing_up(make_runtime, crm, monkeypatch):
	"""Told to stop, a run ends at once, though the source takes its time over the page behind."""
	runtime, draw = make_runtime(), crm.faults.draw
	asked, answer = threading.Event(), threading.Event()

	def slow():
		if crm.requests > 1:
			asked.set()
			answer.wait(30)
		return draw()

	crm.faults.draw = slow
	monkeypatch.setattr(
		runtime, "progress", lambda run: asked.wait(10) and stop() if run.counts.pages else None
	)

	def stop():
		raise KeyboardInterrupt

	with pytest.raises(KeyboardInterrupt):
		run_stream(runtime, "customers-full")
	assert not answer.is_set()
	assert runtime.db.query("SELECT `status`, `pages` FROM `tabSync Log`") == [
		{"status": "Interrupted", "pages": 1}
	]
	answer.set()


def test_a_cursor_and_a_link_are_followed_only_from_what_is_written(crm):
	for kind, style in STYLES[2:]:
		with open_connector(crm) as connector:
			before = crm.requests
			next(connector.pages(a_list(kind, style)))
			assert crm.requests == before + 1
			assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_a_connector_of_ones_own_is_asked_in_its_callers_thread_alone(crm):
	threads = set()

	class Own(RestConnector):
		def request(self, *args, **options):
			threads.add(threading.current_thread())
			return super().request(*args, **options)

	config = IntegrationConfig("crm", base_url=crm.url, auth_type="API Key Header", **FAST)
	with Own(config, Memory(secret=API_KEY), LocalCoordination(), allowed_hosts=LOCAL) as connector:
		assert sum(len(page.records) for page in connector.pages(a_list())) == 250
	assert threads == {threading.current_thread()}


def test_a_connector_that_is_closed_sends_no_more(crm):
	"""What was begun and nobody wants ends with its attempt, and is not tried again."""
	crm.faults.set(rates={"500": 1.0})
	connector = open_connector(crm, backoff_min=0.2, backoff_max=0.2, max_attempts=50)
	crm.faults.set(following=["none"], rates={"500": 1.0})
	next(connector.pages(a_list()))
	until(lambda: crm.requests > 1)
	connector.close()
	for thread in [thread for thread in threading.enumerate() if thread.name == "ahead"]:
		thread.join(20)
		assert not thread.is_alive()
	assert crm.requests < 5
