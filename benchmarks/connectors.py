"""Fetching one page after the other and in lanes, at several latencies; how much of a shared budget is used.

python -m benchmarks.connectors
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from benchmarks.figures import ROUNDS, Figure, say, size
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.registry import connector_for
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.redis import free_port, redis_server

CUSTOMERS, PAGE = size(20_000, quick=4000), 1000
LATENCIES, LANES = (0.0, 0.02, 0.1), (1, 2, 4)
BUDGET, PERIOD, PROCESSES, SECONDS = 100, 10.0, 8, size(40, quick=15)


class Given:
	"""The sandbox's API key."""

	def get(self, field: str) -> str | None:
		return API_KEY if field == "secret" else None


def connector(url: str, **options):
	config = IntegrationConfig("crm", base_url=url, auth_type="API Key Header", **options)
	return connector_for(config, Given(), LocalCoordination(), {}, ["127.0.0.1:*"])


def fetch(url: str, lanes: int) -> float:
	pagination = {
		"kind": "Page Number",
		"page_size": PAGE,
		"page_size_param": "limit",
		"page_param": "",
		"cursor_path": "",
		"more_path": "has_more",
	}
	request = ListRequest("/v1/customers/page", records_path="data", pagination=pagination, lanes=lanes)
	started = time.perf_counter()
	with connector(url) as client:
		count = sum(len(page.records) for page in client.pages(request))
	assert count == CUSTOMERS, count
	return time.perf_counter() - started


@contextmanager
def sandbox_process(latency: float, customers: int = CUSTOMERS) -> Iterator[str]:
	"""A sandbox in a process of its own, so that it does not share the interpreter with what is measured."""
	port = free_port()
	code = "from integration_hub.commands import main; main()"
	options = ["--port", str(port), "--customers", str(customers), "--latency", str(latency)]
	process = subprocess.Popen([sys.executable, "-c", code, "sandbox", *options], stdout=subprocess.DEVNULL)
	url = f"http://127.0.0.1:{port}"
	try:
		while True:
			try:
				requests.get(f"{url}/_sandbox/counts", timeout=5)
				break
			except requests.ConnectionError:
				time.sleep(0.1)
		yield url
	finally:
		process.terminate()
		process.wait()


def lanes() -> Iterator[Figure]:
	for latency in LATENCIES:
		with sandbox_process(latency) as url:
			took = {n: statistics.median(fetch(url, n) for _ in range(ROUNDS)) for n in LANES}
		for n, seconds in took.items():
			at = f"{n} lane{'s' * (n > 1)} at {latency * 1000:.0f} ms"
			yield Figure(at, CUSTOMERS / seconds, "records/s")
			if n > 1:
				yield Figure(f"{at} / 1 lane", took[1] / seconds, "×")


_CALLER = """
import sys, time, redis
from benchmarks.connectors import Given
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import RedisCoordination
from integration_hub.connectors.registry import connector_for
url, redis_url, limit, period, until = sys.argv[1:6]
config = IntegrationConfig("crm", base_url=url, auth_type="API Key Header", rate_limit=int(limit), rate_period=float(period))
with connector_for(config, Given(), RedisCoordination(redis.from_url(redis_url), "bench"), {}, ["127.0.0.1:*"]) as client:
	while time.time() < float(until):
		client.get("/v1/me")
"""


def budget() -> Iterator[Figure]:
	with redis_server() as redis_url, Sandbox(customers=1, budget=BUDGET, period=PERIOD) as crm:
		until = time.time() + SECONDS + 1
		command = [sys.executable, "-c", _CALLER, crm.url, redis_url, str(BUDGET), str(PERIOD), str(until)]
		callers = [subprocess.Popen(command) for _ in range(PROCESSES)]
		while not crm.requests:
			time.sleep(0.01)
		time.sleep(5)
		before = crm.requests
		time.sleep(SECONDS - 10)
		used = (crm.requests - before) / (BUDGET / PERIOD * (SECONDS - 10))
		for caller in callers:
			caller.wait(60)
	at = f"{PROCESSES} processes against {BUDGET} requests per {PERIOD:.0f} s"
	yield Figure(f"{at}, used", used * 100, "% of it")
	yield Figure(f"{at}, refused with 429", crm.budget.refused, "requests", "lower")


if __name__ == "__main__":
	say([*lanes(), *budget()])
