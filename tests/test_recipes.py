"""Each recipe of docs/recipes.md follows a server in the shape of its API, record for record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream
from tests import recipe_apis
from tests.list_server import Lists
from tests.recipe_apis import Api, Asked, read_body

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
# By heading: the server, and whether the recipe finds what is gone.
SYSTEMS = {
	"GitHub": (recipe_apis.GitHub, False),
	"Shopify (REST)": (recipe_apis.Shopify, False),
	"Shopify (GraphQL)": (recipe_apis.ShopifyGraphQL, False),
	"WooCommerce": (recipe_apis.WooCommerce, False),
	"Stripe": (recipe_apis.Stripe, True),
	"HubSpot": (recipe_apis.HubSpot, False),
	"Xero": (recipe_apis.Xero, True),
	"Notion": (recipe_apis.Notion, False),
	"Salesforce": (recipe_apis.Salesforce, True),
	"Microsoft Graph": (recipe_apis.Graph, True),
	"Redmine": (recipe_apis.Redmine, False),
	"WordPress": (recipe_apis.WordPress, False),
}


def recipes() -> dict[str, str]:
	parts = re.findall(r"^## (.+?)\n.*?```toml\n(.*?)```", PAGE.read_text(), re.M | re.S)
	return dict(parts)


def test_every_recipe_is_run():
	assert list(recipes()) == list(SYSTEMS)


@contextmanager
def followed(folder: Path, recipe: str, api: Api) -> Iterator[tuple[StandaloneRuntime, str, str]]:
	"""Give a runtime on the recipe with its server's address, the stream's name and its table."""

	def answer(path: str, query: dict[str, str]):
		method, _path, headers, data = source.sent[-1]
		return api(Asked(source.url, method, path, query, headers, read_body(headers, data)))

	with Lists(answer) as source:
		text = re.sub(r'^(base_url = ").*(")', rf"\g<1>{source.url}\2", recipe, flags=re.M)
		text = re.sub(r'^(token_url = ")https://[^/]*', rf"\g<1>{source.url}", text, flags=re.M)
		text = re.sub(r'"env:\w+"', '"env:RECIPE_SECRET"', text)
		stream, table = re.search(r"\[stream\.([\w-]+)\]", text)[1], re.search(r'\[table\."(.+)"\]', text)[1]
		text = text.replace("target_doctype", "max_delete_percent = 100\ntarget_doctype")
		if "deletion_policy" not in text:
			text = text.replace("target_doctype", 'deletion_policy = "Delete"\ntarget_doctype')
		hub = f'[hub]\nallowed_hosts = ["{source.url[7:]}"]\nencryption_key = "env:HUB_KEY"\n'
		(folder / "hub.toml").write_text(hub + text)
		with StandaloneRuntime(folder / "hub.toml") as runtime:
			yield runtime, stream, table


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_recipe_follows_its_system(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
	monkeypatch.setenv("RECIPE_SECRET", "T")
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	kind, finds_gone = SYSTEMS[system]
	api = kind()
	wanted = {}

	def put(key: int, title: str) -> None:
		api.put(key, title)
		wanted[key] = title

	for key in range(1, 258):
		put(key, f"Größe {key}")
	with followed(tmp_path, recipes()[system], api) as (runtime, stream, table):

		def sync() -> dict:
			row = run_stream(runtime, stream)
			assert (row["status"], row["failed"]) == ("Completed", 0), row["error"]
			rows = runtime.db.query(f"SELECT `title` FROM `tab{table}`")
			assert sorted(row["title"] for row in rows) == sorted(wanted.values())
			return row

		sync()
		for key in (3, 100, 257):
			put(key, f"changed {key}")
		put(258, "new")
		row = sync()
		assert (row["created"], row["updated"]) == (1, 3)
		if finds_gone:
			for key in (2, 200):
				api.delete(key)
				del wanted[key]
			sync()
		row = sync()
		assert (row["created"], row["updated"], row["deleted"]) == (0, 0, 0)
