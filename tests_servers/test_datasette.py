"""Datasette over a SQLite file that changes: JSON with a next URL, CSV as a stream."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests_servers.hub import follow, hub
from tests_servers.packages import pypi
from tests_servers.process import free_port, server

JSON = """
endpoint = "/shop/things.json"
params = "_shape=objects"
records_path = "rows"
pagination = "Next Link"
cursor_path = "next_url"
page_size_param = "_size"
page_size = 4
"""
CSV = """
endpoint = "/shop/things.csv"
params = "_stream=on"
response_format = "CSV"
page_size_param = ""
"""


class Table:
	"""The table `things`, written beside the server."""

	def __init__(self, file: Path):
		self.file = file
		self._do("DELETE FROM things")

	def _do(self, statement: str, *values: object) -> None:
		with closing(sqlite3.connect(self.file)) as db, db:
			db.execute(statement, values)

	def create(self, key: int, title: str, price: float) -> None:
		self._do("INSERT OR REPLACE INTO things VALUES (?, ?, ?)", key, title, price)

	update = create

	def delete(self, key: int) -> None:
		self._do("DELETE FROM things WHERE id = ?", key)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
	programs = pypi("datasette", "datasette<1", "setuptools<81")
	folder, port = tmp_path_factory.mktemp("datasette"), free_port()
	file = folder / "shop.db"
	with closing(sqlite3.connect(file)) as db:
		db.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, title TEXT, price REAL)")
	command = [programs / "datasette", "serve", file, "--port", str(port)]
	with server(command, f"http://127.0.0.1:{port}/shop/things.json", folder) as origin:
		yield origin, file


@pytest.mark.parametrize("stream", [JSON, CSV], ids=["json", "csv"])
def test_a_table_is_followed_record_for_record(served: tuple[str, Path], stream: str, tmp_path: Path):
	url, file = served
	with hub(tmp_path, url, stream) as runtime:
		follow(runtime, Table(file))
