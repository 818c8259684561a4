"""A hub with one stream of a server, and a comparison record for record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream

HUB = """
[hub]
allowed_hosts = ["{host}"]
{hub}

[integration.source]
base_url = "{url}"
backoff_min = 0.05
{integration}

[stream.things]
integration = "source"
target_doctype = "Thing"
deletion_policy = "Delete"
max_delete_percent = 100
{stream}

[stream.things.mapping]
thing = "{thing}"
title = "{title}"
price = "{price}"

[table.Thing]
thing = "Data"
title = "Data"
price = "Float"
"""

Records = dict[str, tuple[str, float]]


class Source(Protocol):
	"""The server's side of a test: its own API to change records, and what it holds now."""

	def create(self, key: int, title: str, price: float) -> None: ...
	def update(self, key: int, title: str, price: float) -> None: ...
	def delete(self, key: int) -> None: ...


@contextmanager
def hub(folder: Path, url: str, stream: str, integration: str = "", hub: str = "", **paths: str) -> Iterator:
	"""Give a runtime on a hub.toml with the stream `things`. paths: of thing, title and price in a record."""
	names = {"thing": "id", "title": "title", "price": "price", **paths}
	text = HUB.format(
		host=url.split("/")[2], url=url, stream=stream, integration=integration, hub=hub, **names
	)
	(folder / "hub.toml").write_text(text)
	with StandaloneRuntime(folder / "hub.toml") as runtime:
		yield runtime


def synced(runtime: StandaloneRuntime) -> Mapping[str, Any]:
	"""Run the stream; fails the test unless the run is whole."""
	run = run_stream(runtime, "things")
	assert (run["status"], run["failed"]) == ("Completed", 0), run["error"]
	return run


def records(runtime: StandaloneRuntime) -> Records:
	rows = runtime.db.query("SELECT `thing`, `title`, `price` FROM `tabThing`")
	return {row["thing"]: (row["title"], row["price"]) for row in rows}


def follow(runtime: StandaloneRuntime, source: Source, prefix: str = "", full: bool = True) -> None:
	"""Create, change and delete at the source, sync after each, and hold the table against what was done.

	prefix: of an id that is no number at the server. full: whether deletions are found by this stream.
	"""
	wanted: Records = {}

	def put(change, key: int, title: str, price: float) -> None:
		change(key, title, price)
		wanted[f"{prefix}{key}"] = (title, price)

	for key in range(1, 26):
		put(source.create, key, f"Ding {key}", key / 4)
	synced(runtime)
	assert records(runtime) == wanted
	for key in (1, 7, 25):
		put(source.update, key, f"Größe {key} \N{PANDA FACE}", -0.5)
	put(source.create, 26, 'new, "quoted"\nand of two lines', 26.0)
	run = synced(runtime)
	assert records(runtime) == wanted
	assert (run["created"], run["updated"]) == (1, 3)
	if full:
		for key in (2, 13, 26):
			source.delete(key)
			del wanted[f"{prefix}{key}"]
		put(source.create, 27, "last", 0.0)
		synced(runtime)
		assert records(runtime) == wanted
	run = synced(runtime)
	assert (run["created"], run["updated"], run["deleted"]) == (0, 0, 0)
