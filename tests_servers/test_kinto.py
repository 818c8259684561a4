"""Kinto (Mozilla): `_since` in milliseconds, tombstones, the next page in the header `Next-Page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests_servers.hub import follow, hub
from tests_servers.packages import pypi
from tests_servers.process import free_port, server

INI = """
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.bucket_create_principals = system.Everyone
kinto.bucket_write_principals = system.Everyone
multiauth.policies = basicauth
kinto.userid_hmac_secret = 1f3a
[server:main]
use = egg:waitress#main
listen = 127.0.0.1:{port}
"""

CHANGES = """
mode = "Incremental"
endpoint = "/buckets/shop/collections/things/records"
params = "_since={since:epoch_ms}\\n_sort=last_modified"
records_path = "data"
pagination = "Link Header"
cursor_path = "Next-Page"
page_size_param = "_limit"
page_size = 4
updated_at_path = "last_modified"
deleted_path = "deleted"
"""

ALL = """
mode = "Full"
endpoint = "/buckets/shop/collections/things/records"
records_path = "data"
pagination = "Link Header"
cursor_path = "Next-Page"
page_size_param = "_limit"
page_size = 4
"""


class Kinto:
	"""The collection `things` of a Kinto server."""

	def __init__(self, url: str):
		self.path = f"{url}/v1/buckets/shop/collections/things/records"
		requests.put(f"{url}/v1/buckets/shop", timeout=10).raise_for_status()
		requests.put(f"{url}/v1/buckets/shop/collections/things", timeout=10).raise_for_status()
		requests.delete(self.path, timeout=10).raise_for_status()

	def create(self, key: int, title: str, price: float) -> None:
		data = {"data": {"title": title, "price": price}}
		requests.put(f"{self.path}/thing-{key}", json=data, timeout=10).raise_for_status()

	update = create

	def delete(self, key: int) -> None:
		requests.delete(f"{self.path}/thing-{key}", timeout=10).raise_for_status()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
	programs = pypi("kinto", "kinto>=20,<27", "setuptools<81")
	folder, port = tmp_path_factory.mktemp("kinto"), free_port()
	(folder / "kinto.ini").write_text(INI.format(port=port))
	command = [programs / "kinto", "start", "--ini", "kinto.ini", "--port", str(port)]
	with server(command, f"http://127.0.0.1:{port}/v1/", folder) as origin:
		yield origin


@pytest.mark.parametrize("stream", [ALL, CHANGES], ids=["full", "incremental"])
def test_a_collection_is_followed_record_for_record(url: str, stream: str, tmp_path: Path):
	source = Kinto(url)
	with hub(tmp_path, f"{url}/v1", stream) as runtime:
		follow(runtime, source, "thing-")
