"""An application of Django REST framework: page numbers, offsets and cursors, and changes since a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests_servers.hub import follow, hub
from tests_servers.packages import ROOT, pypi
from tests_servers.process import free_port, server

NUMBERS = """
endpoint = "/numbers/"
records_path = "results"
pagination = "Page Number"
total_path = "count"
page_size_param = ""
page_size = 4
"""
OFFSETS = """
endpoint = "/offsets/"
records_path = "results"
pagination = "Offset"
total_path = "count"
page_size = 4
"""
CURSORS = """
endpoint = "/cursors/"
records_path = "results"
pagination = "Next Link"
"""
LINKS = CURSORS.replace("cursors", "numbers")
CHANGED = """
mode = "Incremental"
updated_at_path = "modified"
changed_since_param = "modified_since"
"""


class Application:
	"""The things of the application."""

	def __init__(self, url: str):
		self.path = f"{url}/numbers/"
		found = requests.get(f"{url}/offsets/?limit=1000", timeout=10).json()
		while found["results"]:
			for one in found["results"]:
				self.delete(one["id"])
			found = requests.get(f"{url}/offsets/", timeout=10).json()

	def create(self, key: int, title: str, price: float) -> None:
		data = {"id": key, "title": title, "price": price}
		requests.post(self.path, json=data, timeout=10).raise_for_status()

	def update(self, key: int, title: str, price: float) -> None:
		data = {"id": key, "title": title, "price": price}
		requests.put(f"{self.path}{key}/", json=data, timeout=10).raise_for_status()

	def delete(self, key: int) -> None:
		requests.delete(f"{self.path}{key}/", timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
	programs = pypi("django", "django>=4.2,<6", "djangorestframework>=3.15,<4")
	folder, port = tmp_path_factory.mktemp("django"), free_port()
	command = [programs / "python", ROOT / "tests_servers/apps/drf_app.py", str(port)]
	env = {"DRF_DATABASE": str(folder / "things.sqlite3")}
	with server(command, f"http://127.0.0.1:{port}/", folder, env) as origin:
		yield origin


@pytest.mark.parametrize(
	("stream", "full"),
	[
		(NUMBERS, True),
		(OFFSETS, True),
		(CURSORS, True),
		(LINKS, True),
		(NUMBERS + CHANGED, False),
		(CURSORS + CHANGED, False),
	],
	ids=["numbers", "offsets", "cursors", "links", "changed by number", "changed by cursor"],
)
def test_each_pagination_is_followed_record_for_record(url: str, stream: str, full: bool, tmp_path: Path):
	source = Application(url)
	with hub(tmp_path, url, stream) as runtime:
		follow(runtime, source, full=full)
