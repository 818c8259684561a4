"""json-server: pages with a Link header and with a total in a header."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests_servers.hub import follow, hub
from tests_servers.packages import npm
from tests_servers.process import free_port, server

LINKS = """
endpoint = "/things"
pagination = "Link Header"
page_size_param = "_limit"
params = "_page=1"
page_size = 4
"""
NUMBERS = """
endpoint = "/things"
pagination = "Page Number"
page_param = "_page"
page_size_param = "_limit"
total_path = "header:X-Total-Count"
page_size = 4
"""


class JsonServer:
	"""The list `things` of the server."""

	def __init__(self, url: str):
		self.path = f"{url}/things"
		for one in requests.get(self.path, timeout=10).json():
			self.delete(one["id"])

	def create(self, key: int, title: str, price: float) -> None:
		data = {"id": key, "title": title, "price": price}
		requests.post(self.path, json=data, timeout=10).raise_for_status()

	def update(self, key: int, title: str, price: float) -> None:
		data = {"title": title, "price": price}
		requests.put(f"{self.path}/{key}", json=data, timeout=10).raise_for_status()

	def delete(self, key: int) -> None:
		requests.delete(f"{self.path}/{key}", timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
	programs = npm("json-server", "json-server@0.17") / "node_modules/.bin"
	folder, port = tmp_path_factory.mktemp("json"), free_port()
	(folder / "db.json").write_text(json.dumps({"things": []}))
	command = [programs / "json-server", "--port", str(port), "--host", "127.0.0.1", "--quiet", "db.json"]
	with server(command, f"http://127.0.0.1:{port}/things", folder) as origin:
		yield origin


@pytest.mark.parametrize("stream", [LINKS, NUMBERS], ids=["links", "numbers"])
def test_a_list_is_followed_record_for_record(url: str, stream: str, tmp_path: Path):
	source = JsonServer(url)
	with hub(tmp_path, url, stream) as runtime:
		follow(runtime, source)
