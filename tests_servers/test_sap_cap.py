"""SAP CAP: OData V4 with next links, `$filter` by time, `$skip` and `$top`, `$count`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
import requests

from tests_servers.hub import follow, hub
from tests_servers.packages import ROOT, npm
from tests_servers.process import free_port, server

ODATA = """
endpoint = "/Things"
id_path = "ID"
records_path = "value"
"""
LINKS = (
	ODATA
	+ """
pagination = "Next Link"
cursor_path = '"@odata.nextLink"'
"""
)
OFFSETS = (
	ODATA
	+ """
params = "$count=true\\n$orderby=ID"
pagination = "Offset"
page_param = "$skip"
page_size_param = "$top"
page_size = 3
total_path = '"@odata.count"'
"""
)
CHANGED = """
mode = "Incremental"
updated_at_path = "modifiedAt"
params = "$filter=modifiedAt ge {since:iso_ms}\\n$orderby=modifiedAt,ID"
"""


class Cap:
	"""The entity `Things` of the service."""

	def __init__(self, url: str):
		self.path = f"{url}/odata/v4/shop/Things"
		while found := requests.get(self.path, timeout=10).json()["value"]:
			for one in found:
				self.delete(one["ID"])

	def create(self, key: int, title: str, price: float) -> None:
		data = {"ID": key, "title": title, "price": price}
		requests.post(self.path, json=data, timeout=10).raise_for_status()

	def update(self, key: int, title: str, price: float) -> None:
		data = {"title": title, "price": price}
		requests.patch(f"{self.path}({key})", json=data, timeout=10).raise_for_status()

	def delete(self, key: int) -> None:
		requests.delete(f"{self.path}({key})", timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
	folder = npm("cap", "@sap/cds@9", "@sap/cds-dk@9", "express@4", "@cap-js/sqlite@2")
	copytree(ROOT / "tests_servers/apps/cap", folder, dirs_exist_ok=True)
	port = free_port()
	command = [folder / "node_modules/.bin/cds-serve", "all", "--in-memory"]
	at = f"http://127.0.0.1:{port}/odata/v4/shop/Things"
	with server(command, at, folder, {"PORT": str(port)}) as origin:
		yield origin


@pytest.mark.parametrize(
	("stream", "full"),
	[(LINKS, True), (OFFSETS, True), (LINKS + CHANGED, False)],
	ids=["links", "offsets", "changed"],
)
def test_an_entity_is_followed_record_for_record(url: str, stream: str, full: bool, tmp_path: Path):
	source = Cap(url)
	with hub(tmp_path, f"{url}/odata/v4/shop", stream, thing="ID") as runtime:
		follow(runtime, source, full=full)
