"""Manifests of many forms, converted and run: each record arrives, and requests are those that the manifest means.

One manifest holds a stream of each form; it is converted once, and its streams run on one file against one server.
"""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from integration_hub.importing.answering import chosen
from integration_hub.importing.hub_toml_text import hub_toml_of, variables
from integration_hub.importing.manifest.convert import convert_manifest
from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sync.run import run_stream

ITEMS = [
	{
		"id": n,
		"name": f"item {n}",
		"region": "eu" if n % 2 else "us",
		"updated_at": f"2024-01-{n:02d}T00:00:00Z",
	}
	for n in range(1, 8)
]
KEY = "k3y-value"

MANIFEST = """
version: "4.6.2"
type: DeclarativeSource
check: {type: CheckStream, stream_names: [page_numbers]}
spec:
  type: Spec
  connection_specification:
    type: object
    required: [base, api_key, start_date]
    properties:
      base: {type: string, title: Address}
      api_key: {type: string, airbyte_secret: true}
      start_date: {type: string, default: "2024-01-03T00:00:00Z"}
      regions: {type: array, default: [eu, us]}
definitions:
  requester:
    type: HttpRequester
    url_base: "{{ config['base'] }}/v1/"
    path: "{{ parameters['path'] }}"
    authenticator: {type: BearerAuthenticator, api_token: "{{ config['api_key'] }}"}
  selector:
    type: RecordSelector
    extractor: {type: DpathExtractor, field_path: ["{{ parameters.get('at', 'data') }}"]}
  retriever:
    type: SimpleRetriever
    requester: {$ref: "#/definitions/requester"}
    record_selector: {$ref: "#/definitions/selector"}
  stream:
    type: DeclarativeStream
    primary_key: id
    retriever: {$ref: "#/definitions/retriever"}
    schema_loader:
      type: InlineSchemaLoader
      schema: {type: object, properties: {id: {type: integer}, name: {type: [string, "null"]}, region: {type: string}}}
  sizes: {type: RequestOption, inject_into: request_parameter, field_name: limit}
  parent: {$ref: "#/definitions/stream", $parameters: {name: groups, path: groups}}
  cursor:
    type: DatetimeBasedCursor
    cursor_field: updated_at
    datetime_format: "%Y-%m-%dT%H:%M:%SZ"
    start_datetime: {type: MinMaxDatetime, datetime: "{{ config['start_date'] }}"}
streams:
  - {$ref: "#/definitions/stream", $parameters: {name: plain, path: plain}}
  - $ref: "#/definitions/stream"
    $parameters: {name: page_numbers, path: pages}
    retriever:
      $ref: "#/definitions/retriever"
      paginator:
        type: DefaultPaginator
        page_size_option: {$ref: "#/definitions/sizes"}
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: page}
        pagination_strategy: {type: PageIncrement, page_size: 3, start_from_page: 1, inject_on_first_request: true}
  - $ref: "#/definitions/stream"
    $parameters: {name: pages_from_zero, path: pages0}
    retriever:
      $ref: "#/definitions/retriever"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: header, field_name: X-Page}
        pagination_strategy: {type: PageIncrement, page_size: 3}
  - $ref: "#/definitions/stream"
    $parameters: {name: offsets_in_body, path: search}
    retriever:
      $ref: "#/definitions/retriever"
      requester:
        $ref: "#/definitions/requester"
        http_method: POST
        request_body_json: {filter: {state: open, text: "a {b} c"}, sort: [id]}
      paginator:
        type: DefaultPaginator
        page_size_option: {type: RequestOption, inject_into: body_json, field_name: limit}
        page_token_option: {type: RequestOption, inject_into: body_json, field_path: [window, offset]}
        pagination_strategy: {type: OffsetIncrement, page_size: 3}
  - $ref: "#/definitions/stream"
    $parameters: {name: cursors, path: cursors}
    retriever:
      $ref: "#/definitions/retriever"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: after}
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ response.get('meta', {}).get('next', {}) }}"
          stop_condition: "{{ not response.get('meta', {}).get('more', False) }}"
  - $ref: "#/definitions/stream"
    $parameters: {name: last_records, path: after_id, at: data}
    retriever:
      $ref: "#/definitions/retriever"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: after_id}
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ last_record['id'] }}"
          stop_condition: "{{ last_page_size < 3 }}"
  - $ref: "#/definitions/stream"
    $parameters: {name: next_links, path: links}
    retriever:
      $ref: "#/definitions/retriever"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestPath}
        pagination_strategy: {type: CursorPagination, cursor_value: "{{ response.links.next }}", page_size: 3}
  - $ref: "#/definitions/stream"
    $parameters: {name: link_headers, path: link_headers}
    retriever:
      $ref: "#/definitions/retriever"
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestPath}
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ headers['link']['next']['url'] }}"
          stop_condition: "{{ 'next' not in headers['link'] }}"
  - $ref: "#/definitions/stream"
    $parameters: {name: computed_cursors, path: computed}
    retriever:
      $ref: "#/definitions/retriever"
      paginator:
        type: DefaultPaginator
        page_token_option: {type: RequestOption, inject_into: request_parameter, field_name: p}
        pagination_strategy:
          type: CursorPagination
          cursor_value: "{{ response['page'] + 1 }}"
          stop_condition: "{{ response['page'] >= response['pages'] }}"
  - $ref: "#/definitions/stream"
    $parameters: {name: changes, path: changes}
    incremental_sync:
      $ref: "#/definitions/cursor"
      datetime_format: "%s"
      cursor_datetime_formats: ["%Y-%m-%dT%H:%M:%SZ"]
      start_datetime: {type: MinMaxDatetime, datetime: "{{ config['start_date'] }}", datetime_format: "%Y-%m-%dT%H:%M:%SZ"}
      start_time_option: {type: RequestOption, inject_into: request_parameter, field_name: since}
  - $ref: "#/definitions/stream"
    $parameters: {name: windows, path: windows}
    retriever:
      $ref: "#/definitions/retriever"
      requester:
        $ref: "#/definitions/requester"
        request_parameters: {from: "{{ format_datetime(stream_interval.start_time, '%Y-%m-%d') }}"}
    incremental_sync:
      $ref: "#/definitions/cursor"
      end_datetime: {type: MinMaxDatetime, datetime: "2024-01-09T00:00:00Z"}
      end_time_option: {type: RequestOption, inject_into: request_parameter, field_name: to}
      step: P2D
      cursor_granularity: PT1S
  - $ref: "#/definitions/stream"
    $parameters: {name: children}
    retriever:
      $ref: "#/definitions/retriever"
      requester: {$ref: "#/definitions/requester", path: "groups/{{ stream_partition.group }}/items"}
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - {type: ParentStreamConfig, parent_key: id, partition_field: group, stream: "#/definitions/parent"}
    transformations:
      - {type: AddFields, fields: [{path: [group], value: "{{ stream_partition['group'] }}"}]}
  - $ref: "#/definitions/stream"
    $parameters: {name: by_region, path: by_region}
    retriever:
      $ref: "#/definitions/retriever"
      partition_router:
        type: ListPartitionRouter
        values: "{{ config['regions'] }}"
        cursor_field: region
        request_option: {type: RequestOption, inject_into: request_parameter, field_name: region}
  - $ref: "#/definitions/stream"
    $parameters: {name: chosen, path: plain}
    retriever:
      $ref: "#/definitions/retriever"
      record_selector:
        $ref: "#/definitions/selector"
        record_filter: {type: RecordFilter, condition: "{{ record.region == 'eu' and record['id'] > 2 }}"}
    transformations:
      - type: AddFields
        fields:
          - {path: [title], value: "{{ record['name'] }}"}
          - {path: [kind], value: "fixed"}
      - {type: RemoveFields, field_pointers: [[name]]}
  - $ref: "#/definitions/stream"
    $parameters: {name: wrapped, path: wrapped}
    retriever:
      $ref: "#/definitions/retriever"
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [rows, "*", item]}}
  - $ref: "#/definitions/stream"
    $parameters: {name: nested, path: nested}
    retriever:
      $ref: "#/definitions/retriever"
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: [rows, "*", items, "*"]}}
  - $ref: "#/definitions/stream"
    $parameters: {name: single, path: single}
    retriever:
      $ref: "#/definitions/retriever"
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
  - $ref: "#/definitions/stream"
    $parameters: {name: nothing, path: nothing}
  - $ref: "#/definitions/stream"
    $parameters: {name: ignored, path: forbidden}
    retriever:
      $ref: "#/definitions/retriever"
      requester:
        $ref: "#/definitions/requester"
        error_handler:
          type: CompositeErrorHandler
          error_handlers:
            - type: DefaultErrorHandler
              response_filters:
                - {type: HttpResponseFilter, action: IGNORE, predicate: "{{ response.code == 'not_in_plan' }}"}
  - $ref: "#/definitions/stream"
    $parameters: {name: without_key, path: plain}
    primary_key: []
  - $ref: "#/definitions/stream"
    $parameters: {name: two_keys, path: plain}
    primary_key: [region, id]
  - $ref: "#/definitions/stream"
    $parameters: {name: body_on_get, path: body_on_get}
    retriever:
      $ref: "#/definitions/retriever"
      requester: {$ref: "#/definitions/requester", request_body_json: {wanted: all}}
  - $ref: "#/definitions/stream"
    $parameters: {name: by_key, path: by_key}
    retriever:
      $ref: "#/definitions/retriever"
      requester:
        $ref: "#/definitions/requester"
        authenticator:
          type: ApiKeyAuthenticator
          api_token: "{{ config['api_key'] }}"
          inject_into: {type: RequestOption, inject_into: request_parameter, field_name: key}
  - $ref: "#/definitions/stream"
    $parameters: {name: by_password, path: by_password}
    retriever:
      $ref: "#/definitions/retriever"
      requester:
        $ref: "#/definitions/requester"
        authenticator: {type: BasicHttpAuthenticator, username: api, password: "{{ config['api_key'] }}"}
"""

ALL = {item["id"] for item in ITEMS}
# What arrives, by stream.
EXPECTED: dict[str, set[int]] = {
	**dict.fromkeys(
		("plain", "page-numbers", "pages-from-zero", "offsets-in-body", "cursors", "last-records"), ALL
	),
	**dict.fromkeys(
		("next-links", "link-headers", "computed-cursors", "by-region", "wrapped", "nested"), ALL
	),
	**dict.fromkeys(("body-on-get", "by-key", "by-password", "without-key", "two-keys"), ALL),
	"changes": {3, 4, 5, 6, 7},
	"windows": {3, 4, 5, 6, 7},
	"children": {11, 12, 21, 22},
	"chosen": {3, 5, 7},
	"single": {1},
	"nothing": set(),
	"ignored": set(),
}


class _Api:
	"""The API that the manifest is of. asked: (path, query, headers, body) of each request, by first part of the path."""

	def __init__(self) -> None:
		self.asked: dict[str, list[tuple[str, dict[str, str], Any, Any]]] = defaultdict(list)

	def answer(
		self, path: str, query: dict[str, str], headers: Any, body: Any
	) -> tuple[int, dict[str, str], Any]:
		name, *rest = path.removeprefix("/v1/").split("/")
		self.asked[name].append((path, query, headers, body))
		found = getattr(self, f"_{name}")(query, headers, body, rest)
		return found if isinstance(found, tuple) else (200, {}, found)

	def _plain(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		assert headers["Authorization"] == f"Bearer {KEY}"
		return {"data": ITEMS}

	def _pages(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		first = (int(query["page"]) - 1) * int(query["limit"])
		return {"data": ITEMS[first : first + int(query["limit"])]}

	def _pages0(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		first = int(headers.get("X-Page", 0)) * 3
		return {"data": ITEMS[first : first + 3]}

	def _search(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		assert body["filter"] == {"state": "open", "text": "a {b} c"} and body["sort"] == ["id"] and not query
		first = body.get("window", {}).get("offset", 0)
		return {"data": ITEMS[first : first + body["limit"]]}

	def _cursors(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		first = int(query.get("after", 0))
		more = first + 3 < len(ITEMS)
		return {"data": ITEMS[first : first + 3], "meta": {"next": str(first + 3), "more": more}}

	def _after_id(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"data": [item for item in ITEMS if item["id"] > int(query.get("after_id", 0))][:3]}

	def _links(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		first = int(query.get("from", 0))
		following = f"/v1/links?from={first + 3}" if first + 3 < len(ITEMS) else None
		return {"data": ITEMS[first : first + 3], "links": {"next": following}}

	def _link_headers(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		first = int(query.get("from", 0))
		link = {"Link": f'</v1/link_headers?from={first + 3}>; rel="next"'} if first + 3 < len(ITEMS) else {}
		return 200, link, ITEMS[first : first + 3]

	def _computed(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		page = int(query.get("p", 1))
		return {"data": ITEMS[(page - 1) * 3 : page * 3], "page": page, "pages": 3}

	def _changes(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		day = (int(query["since"]) - 1704067200) // 86400 + 1  # 1704067200: 2024-01-01
		return {"data": [item for item in ITEMS if item["id"] >= day]}

	def _windows(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {
			"data": [item for item in ITEMS if query["from"] <= item["updated_at"][:10] <= query["to"][:10]]
		}

	def _groups(self, query: Any, headers: Any, body: Any, rest: list[str]) -> Any:
		if not rest:
			return {"data": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}]}
		return {"data": [{"id": int(rest[0]) * 10 + n, "name": "x", "region": "eu"} for n in (1, 2)]}

	def _by_region(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"data": [item for item in ITEMS if item["region"] == query["region"]]}

	def _wrapped(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"rows": [{"item": item} for item in ITEMS]}

	def _nested(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"rows": [{"items": ITEMS[:4]}, {"items": ITEMS[4:]}]}

	def _single(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return ITEMS[0]

	def _nothing(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"note": "no list here"}

	def _forbidden(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return 403, {}, {"code": "not_in_plan"}

	def _body_on_get(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"data": ITEMS if body == {"wanted": "all"} else []}

	def _by_key(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		return {"data": ITEMS} if query["key"] == KEY else (401, {}, {})

	def _by_password(self, query: Any, headers: Any, body: Any, rest: Any) -> Any:
		wanted = f"Basic {b64encode(f'api:{KEY}'.encode()).decode()}"
		return {"data": ITEMS} if headers["Authorization"] == wanted else (401, {}, {})


def _handler(api: _Api) -> type[BaseHTTPRequestHandler]:
	class Handler(BaseHTTPRequestHandler):
		def do_GET(self) -> None:
			length = int(self.headers.get("Content-Length") or 0)
			body = json.loads(self.rfile.read(length)) if length else None
			parts = urlsplit(self.path)
			query = {name: values[0] for name, values in parse_qs(parts.query).items()}
			status, headers, answer = api.answer(parts.path, query, self.headers, body)
			text = json.dumps(answer).encode()
			self.send_response(status)
			for name, value in {
				"Content-Type": "application/json",
				"Content-Length": str(len(text)),
				**headers,
			}.items():
				self.send_header(name, value)
			self.end_headers()
			self.wfile.write(text)

		do_POST = do_GET

		def log_message(self, *args: object) -> None:
			pass

	return Handler


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[_Api, str]]:
	"""The API, and its address."""
	api = _Api()
	server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
	threading.Thread(target=server.serve_forever, daemon=True).start()
	yield api, f"http://127.0.0.1:{server.server_port}"
	server.shutdown()
	server.server_close()


@pytest.fixture(scope="module")
def runtime(api: tuple[_Api, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneRuntime]:
	"""The converted manifest on one file."""
	proposal = convert_manifest(MANIFEST, "forms", {"base": api[1]})
	assert [str(one) for one in proposal.complaints] == []
	with pytest.MonkeyPatch.context() as patch:
		for variable, holds in variables(proposal).items():
			patch.setenv(variable, holds.replace("<api_key>", KEY))
		folder: Path = tmp_path_factory.mktemp("import")
		text = hub_toml_of(chosen(proposal, ()))
		assert KEY not in text
		(folder / "hub.toml").write_text(f'[hub]\nallowed_hosts = ["127.0.0.1:*"]\n{text}')
		with StandaloneRuntime(folder / "hub.toml") as found:
			yield found


def _ids(runtime: StandaloneRuntime, stream: str) -> set[int]:
	table = runtime.file.streams[stream]["target_doctype"]
	return {row["id"] for row in runtime.db.query(f"SELECT `id` FROM `tab{table}`")}


@pytest.mark.parametrize("stream", EXPECTED)
def test_a_converted_stream_brings_what_the_manifest_means(
	api: tuple[_Api, str], runtime: StandaloneRuntime, stream: str
) -> None:
	run = run_stream(runtime, f"forms-{stream}")
	assert run["status"] == "Completed", run["error"]
	assert _ids(runtime, f"forms-{stream}") == EXPECTED[stream]


def test_the_second_run_asks_from_the_watermark_on(api: tuple[_Api, str], runtime: StandaloneRuntime) -> None:
	run_stream(runtime, "forms-changes")
	run_stream(runtime, "forms-changes")
	asked = [query["since"] for _path, query, _headers, _body in api[0].asked["changes"]]
	assert asked[0] == "1704240000"  # 2024-01-03, the manifest's start
	assert int(asked[-1]) == 1704585600 - 60  # the newest record's time, less the overlap


def test_windows_follow_each_other_without_a_gap(api: tuple[_Api, str], runtime: StandaloneRuntime) -> None:
	run_stream(runtime, "forms-windows")
	asked = [(query["from"], query["to"][:10]) for _path, query, _headers, _body in api[0].asked["windows"]][
		:3
	]
	assert asked == [("2024-01-03", "2024-01-05"), ("2024-01-05", "2024-01-07"), ("2024-01-07", "2024-01-09")]


def test_the_first_page_from_zero_is_asked_for_without_a_number(
	api: tuple[_Api, str], runtime: StandaloneRuntime
) -> None:
	run_stream(runtime, "forms-pages-from-zero")
	assert [headers.get("X-Page") for _p, _q, headers, _b in api[0].asked["pages0"]][:3] == [None, "1", "2"]


def test_fields_that_are_added_and_removed_are_columns_or_none(runtime: StandaloneRuntime) -> None:
	run_stream(runtime, "forms-chosen")
	rows = runtime.db.query("SELECT * FROM `tabForms Chosen` ORDER BY `id`")
	assert [(row["title"], row["kind"]) for row in rows] == [(f"item {n}", "fixed") for n in (3, 5, 7)]
	assert "name_value" not in rows[0]
	run_stream(runtime, "forms-children")
	rows = runtime.db.query("SELECT `id`, `group` FROM `tabForms Children` ORDER BY `id`")
	assert [int(row["group"]) for row in rows] == [1, 1, 2, 2]
