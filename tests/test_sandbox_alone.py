"""The sandbox that Desk starts: on this machine alone, for its time, and without orders."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from integration_hub.sandbox import alone
from integration_hub.sandbox.access import API_KEY
from integration_hub.sandbox.redis import free_port

KEY = {"X-API-Key": API_KEY}


def test_it_answers_takes_no_orders_and_ends_by_itself():
	port = free_port()
	url = alone.start(port, seconds=6)
	assert url == f"http://127.0.0.1:{port}"
	assert alone.start(port, seconds=6) == url  # once
	assert requests.get(f"{url}/v1/customers/page", headers=KEY, timeout=10).json()["data"]
	for path in ("webhooks", "change", "faults", "counts"):
		assert (
			requests.post(f"{url}/_sandbox/{path}", headers=KEY, json={"url": url}, timeout=10).status_code
			== 404
		)
	until = time.monotonic() + 60
	while alone._listens(port):
		assert time.monotonic() < until
		time.sleep(0.3)


def test_a_port_that_something_else_has_is_said():
	with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="Something else"):
		alone.start(other.getsockname()[1], seconds=1)
