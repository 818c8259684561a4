"""GraphQL Yoga: a Relay connection, by its nodes and by its edges, and changes since a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests_servers.hub import follow, hub
from tests_servers.packages import ROOT, npm
from tests_servers.process import free_port, server

GRAPHQL = """
endpoint = "/graphql"
method = "POST"
body_format = "GraphQL"
pagination = "Relay"
page_size = 3
"""
NODES = (
	GRAPHQL
	+ """
body = "query($first: Int, $after: String) { things(first: $first, after: $after) { nodes { id title price } pageInfo { endCursor hasNextPage } } }"
variables = '{"first": "{page_size}", "after": "{cursor}"}'
records_path = "data.things.nodes"
"""
)
EDGES = (
	GRAPHQL
	+ """
body = "query($first: Int, $after: String) { things(first: $first, after: $after) { edges { node { id title price } } pageInfo { endCursor hasNextPage } } }"
variables = '{"first": "{page_size}", "after": "{cursor}"}'
records_path = "map(&node, data.things.edges)"
cursor_path = "data.things.pageInfo"
"""
)
CHANGED = (
	GRAPHQL
	+ """
mode = "Incremental"
updated_at_path = "updatedAt"
body = "query($first: Int, $after: String, $since: String) { things(first: $first, after: $after, updatedSince: $since) { nodes { id title price updatedAt } pageInfo { endCursor hasNextPage } } }"
variables = '{"first": "{page_size}", "after": "{cursor}", "since": "{since:iso_ms}"}'
records_path = "data.things.nodes"
"""
)


class Yoga:
	"""The things of the server, changed by its mutations."""

	def __init__(self, url: str):
		self.url = f"{url}/graphql"
		self._ask("mutation { clear }", {})

	def _ask(self, query: str, variables: dict) -> None:
		answer = requests.post(self.url, json={"query": query, "variables": variables}, timeout=10).json()
		assert "errors" not in answer, answer

	def create(self, key: int, title: str, price: float) -> None:
		query = "mutation($id: ID!, $title: String!, $price: Float!) { put(id: $id, title: $title, price: $price) { id } }"
		self._ask(query, {"id": key, "title": title, "price": price})

	update = create

	def delete(self, key: int) -> None:
		self._ask("mutation($id: ID!) { remove(id: $id) }", {"id": key})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
	folder = npm("yoga", "graphql-yoga@5", "graphql@16")
	port = free_port()
	command = ["node", ROOT / "tests_servers/apps/yoga.mjs", str(port)]
	with server(command, f"http://127.0.0.1:{port}/graphql?query=%7B__typename%7D", folder) as origin:
		yield origin


@pytest.mark.parametrize(
	("stream", "full"),
	[(NODES, True), (EDGES, True), (CHANGED, False)],
	ids=["nodes", "edges", "changed"],
)
def test_a_connection_is_followed_record_for_record(url: str, stream: str, full: bool, tmp_path: Path):
	source = Yoga(url)
	with hub(tmp_path, url, stream) as runtime:
		follow(runtime, source, full=full)
