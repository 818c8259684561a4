"""OpenAPI documents: the lists that they describe become streams, in 2.0, 3.0 and 3.1, in JSON and YAML; and they run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.importing.documents import ImportRefused
from integration_hub.importing.hub_toml_text import hub_toml_of, variables
from integration_hub.importing.openapi.convert import convert_openapi
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.runtime.standalone.hub_toml import load
from integration_hub.sync.run import run_stream

SHOP: dict[str, Any] = {
	"openapi": "3.1.0",
	"servers": [{"url": "https://{region}.example.com/v1", "variables": {"region": {"default": "eu"}}}],
	"security": [{"key": []}],
	"paths": {
		"/shops": {
			"get": {
				"operationId": "listShops",
				"responses": {"200": {"$ref": "#/components/responses/Shops"}},
			}
		},
		"/shops/{shopId}/orders": {
			"parameters": [{"name": "shopId", "in": "path", "required": True, "schema": {"type": "string"}}],
			"get": {
				"operationId": "listOrders",
				"parameters": [
					{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 2}},
					{"name": "cursor", "in": "query", "schema": {"type": "string"}},
					{
						"name": "status",
						"in": "query",
						"required": True,
						"schema": {"enum": ["open", "done"], "default": "open"},
					},
				],
				"responses": {
					"200": {
						"content": {
							"application/json": {
								"schema": {
									"properties": {
										"orders": {
											"type": "array",
											"items": {"$ref": "#/components/schemas/Order"},
										},
										"meta": {"properties": {"next_cursor": {"type": ["string", "null"]}}},
									}
								}
							}
						}
					}
				},
			},
		},
		"/shops/{shopId}": {"get": {"operationId": "getShop", "responses": {"200": {"description": "one"}}}},
	},
	"components": {
		"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
		"responses": {
			"Shops": {
				"content": {
					"application/json": {
						"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Shop"}}
					}
				}
			}
		},
		"schemas": {
			"Base": {"type": "object", "properties": {"id": {"type": "integer"}}},
			"Shop": {
				"allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"name": {"type": "string"}}}]
			},
			"Order": {
				"allOf": [{"$ref": "#/components/schemas/Base"}],
				"properties": {"total": {"type": "number"}, "lines": {"type": "array", "items": {}}},
			},
		},
	},
}
PETS_V2 = """
swagger: "2.0"
host: pets.example.com
basePath: /api
schemes: [https]
securityDefinitions:
  login: {type: oauth2, flow: application, tokenUrl: "https://pets.example.com/token", scopes: {read: all}}
paths:
  /pets:
    get:
      parameters:
        - {name: page, in: query, type: integer, default: 0}
        - {name: per_page, in: query, type: integer}
        - {name: updated_since, in: query, type: string}
      responses:
        200:
          description: all
          schema:
            type: object
            properties:
              data: {type: array, items: {$ref: "#/definitions/Pet"}}
definitions:
  Pet: {type: object, properties: {petId: {type: integer}, updatedAt: {type: string}, parent: {$ref: "#/definitions/Pet"}}}
"""


def test_lists_become_streams_with_their_parents() -> None:
	found = convert_openapi(json.dumps(SHOP), "shop")
	assert [str(one) for one in found.complaints] == []
	assert found.integrations["shop"]["base_url"] == "https://eu.example.com/v1"
	assert found.integrations["shop"]["auth_type"] == "API Key Header"
	assert list(found.streams) == ["shop-list-shops", "shop-list-orders"]
	orders = found.streams["shop-list-orders"]
	assert (orders["endpoint"], orders["parent_stream"]) == ("/shops/{parent.id}/orders", "shop-list-shops")
	assert (orders["records_path"], orders["cursor_path"], orders["page_size"]) == (
		"orders",
		"meta.next_cursor",
		2,
	)
	assert orders["params"] == "status=open"
	assert found.tables["Shop List Orders"] == {"id": "Long Int", "total": "Float", "lines": "JSON"}


def test_version_2_is_read_as_well() -> None:
	found = convert_openapi(PETS_V2, "pets")
	row = found.integrations["pets"]
	assert (row["base_url"], row["auth_type"], row["scope"]) == (
		"https://pets.example.com/api",
		"OAuth2 Client Credentials",
		"read",
	)
	pets = found.streams["pets-pets"]
	assert (pets["pagination"], pets["first_page"], pets["id_path"]) == ("Page Number", 0, "petId")
	assert (pets["mode"], pets["updated_at_path"], pets["changed_since_param"]) == (
		"Incremental",
		"updatedAt",
		"updated_since",
	)


def test_chosen_operations_alone_are_taken() -> None:
	assert list(convert_openapi(json.dumps(SHOP), "shop", operations=["GET /shops"]).streams) == [
		"shop-list-shops"
	]
	single = convert_openapi(json.dumps(SHOP), "shop", operations=["getShop"])
	assert not single.streams and "no list" in str(single.complaints[0])
	with pytest.raises(ImportRefused, match="listOrders"):
		convert_openapi(json.dumps(SHOP), "shop", operations=["other"])


@pytest.mark.parametrize(
	"text",
	[
		"openapi: 4.0.0\npaths: {}",
		"openapi: 3.0.0",
		"openapi: 3.0.0\npaths: {/a: {$ref: 'https://evil.example/x.yaml'}}",
		"openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}}",
		"openapi: 3.0.0\npaths: {/a: {$ref: 'file:///etc/passwd'}}",
	],
)
def test_what_is_no_document_or_leads_out_of_it_is_refused(text: str) -> None:
	with pytest.raises(ImportRefused):
		convert_openapi(text, "x")


class _Shop(BaseHTTPRequestHandler):
	def do_GET(self) -> None:
		parts = urlsplit(self.path)
		query = {name: values[0] for name, values in parse_qs(parts.query).items()}
		assert self.headers["X-Key"] == "k3y-value"
		body: Any = [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]
		if parts.path.endswith("/orders"):
			assert query["status"] == "open" and query["limit"] == "2"
			shop, first = int(parts.path.split("/")[3]), int(query.get("cursor", 0))
			orders = [{"id": shop * 10 + n, "total": n} for n in range(3)][first : first + 2]
			body = {"orders": orders, "meta": {"next_cursor": str(first + 2) if first == 0 else None}}
		text = json.dumps(body).encode()
		self.send_response(200)
		self.send_header("Content-Type", "application/json")
		self.send_header("Content-Length", str(len(text)))
		self.end_headers()
		self.wfile.write(text)

	def log_message(self, *args: object) -> None:
		pass


@pytest.fixture
def shop_url() -> Iterator[str]:
	"""The address of a shop as the document has it."""
	server = ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	yield f"http://127.0.0.1:{server.server_port}/v1"
	server.shutdown()
	server.server_close()


def test_what_is_proposed_runs(tmp_path: Path, shop_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
	found = convert_openapi(json.dumps(SHOP), "shop", {"base_url": shop_url})
	for variable in variables(found):
		monkeypatch.setenv(variable, "k3y-value")
	(tmp_path / "hub.toml").write_text(f'[hub]\nallowed_hosts = ["127.0.0.1:*"]\n{hub_toml_of(found)}')
	with StandaloneRuntime(tmp_path / "hub.toml") as runtime:
		run = run_stream(runtime, "shop-list-orders")
		assert (run["status"], run["created"]) == ("Completed", 6), run["error"]


def test_the_command_makes_hub_toml(tmp_path: Path) -> None:
	file, config = tmp_path / "shop.json", tmp_path / "hub.toml"
	file.write_text(json.dumps(SHOP))
	arguments = ["--config", str(config), "import", "openapi", str(file), "--yes", "--operation", "listShops"]
	made = CliRunner().invoke(integration_hub, arguments)
	assert made.exit_code == 0, made.output
	assert list(load(config).streams) == ["shop-list-shops"]
