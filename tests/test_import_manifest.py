"""Manifests: expressions, secrets, bounds, and complaints about what has no equal."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from integration_hub.commands import integration_hub
from integration_hub.connectors.answer_rules import AnswerRule
from integration_hub.connectors.pagination import make_paginator
from integration_hub.connectors.placeholders import Template
from integration_hub.connectors.rest import find_records
from integration_hub.importing.documents import MOST_CHARACTERS, ImportRefused, read_document
from integration_hub.importing.field_names import field_name, stream_name
from integration_hub.importing.hub_toml_text import hub_toml_of
from integration_hub.importing.manifest.convert import convert_manifest
from integration_hub.importing.manifest.expressions import Expr, Scope, Unconverted, evaluated
from integration_hub.importing.manifest.increments import record_format
from integration_hub.importing.manifest.jmespath_text import jmespath_of
from integration_hub.importing.manifest.placeholder_text import Place, TemplateWriter
from integration_hub.importing.manifest.secret_marks import secret_mark
from integration_hub.runtime.standalone.hub_toml import load

CONFIG = {
	"region": "EU",
	"credentials": {"kind": "oauth"},
	"repos": ["a", "b"],
	"count": "5",
	"day": "2024-02-03",
}
SCOPE = Scope(CONFIG, {"name": "orders"}, lambda path: path == "api_key")


@pytest.mark.parametrize(
	("text", "value"),
	[
		("plain {text}", "plain {text}"),
		("{{ config['region'] }}-{{ parameters.name }}", "EU-orders"),
		("{{ config['count'] }}", 5),
		("{{ config.credentials.get('kind', 'x') }}", "oauth"),
		("{{ config['missing'] or 'usual' }}", "usual"),
		("{{ config.get('missing', 7) }}", 7),
		("{{ 'eu.' if config.region == 'EU' else '' }}api", "eu.api"),
		("{% if config.region == 'US' %}1{% elif config.region == 'EU' %}2{% else %}3{% endif %}", 2),
		("{{ config['repos'] | join(',') }}", "a,b"),
		("{{ format_datetime(config['day'], '%d.%m.%Y') }}", "03.02.2024"),
		("{{ timestamp('1970-01-02') | int * 1000 }}", 86_400_000),
		("{{ config['repos'] }}", ["a", "b"]),
		("{{ 'x' is defined }}", True),
		("{{ config['api_key'] }}", secret_mark("api_key")),
		("Token {{ config['api_key'] }}", f"Token {secret_mark('api_key')}"),
	],
)
def test_what_is_constant_is_computed(text: str, value: Any) -> None:
	assert evaluated(text, SCOPE) == value


@pytest.mark.parametrize(
	"text",
	[
		"{{ unknown_name }}",
		"{% for x in config['repos'] %}{{ x }}{% endfor %}",
		"{{ config['api_key'] | base64encode }}",
		"{{ config['api_key'] == 'guess' }}",
		"{{ 'x' * 1000000000 }}",
		"{{ 10 ** 10 ** 10 }}",
		"{{ config.__class__.__mro__ }}{{ ''.__class__() }}",
		"{{ range(1000000000) }}",
		"{{ cycler.__init__.__globals__.os.system('true') }}",
		"{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
		"{{ lipsum(n=100000) }}",
		"{{ 1 / 0 }}",
		"{{ broken",
	],
)
def test_what_is_not_plain_is_refused_and_never_run(text: str) -> None:
	with pytest.raises(Unconverted):
		evaluated(text, SCOPE)


@pytest.mark.parametrize(
	("text", "path"),
	[
		("{{ response.get('next', {}) }}", "next"),
		("{{ not response['a-b'].c }}", '!("a-b".c)'),
		("{{ response.page + 1 }}", "sum([to_number(page), `1`])"),
		("{{ record.status == 'open' and record.count > 3 }}", "((status == 'open') && (count > `3`))"),
		("{{ 'x' in response }}", "contains(keys(@ || `{}`), 'x')"),
		("{{ response.items | length }}", "length(items || `[]`)"),
		("{{ response.error is none }}", "(error == `null`)"),
		("{{ record.a if record.b else 'c' }}", "if(b, a, 'c')"),
		("{{ record.a }}-{{ record.b }}", "concat(not_null(a, ''), '-', not_null(b, ''))"),
		("it's", "'it\\'s'"),
	],
)
def test_expressions_over_answers_and_records_are_jmespath(text: str, path: str) -> None:
	assert jmespath_of(evaluated(text, SCOPE), {"response": "@", "record": "@"}) == path


@pytest.mark.parametrize(
	("text", "template"),
	[
		("a/{{ stream_partition.id }}/b", "a/{parent.id}/b"),
		("{{ stream_interval['start_time'] }}", "{since:date}"),
		("{{ format_datetime(stream_slice.start_time, '%Y%m%d') }}", "{since:%Y%m%d}"),
		("{{ timestamp(stream_slice.start_time) }}", "{since:epoch}"),
		("{{ now_utc().strftime('%Y-%m-%d') }}", "{now:date}"),
		("{{ stream_partition.id | upper }}", "{parent.id:upper}"),
		('{"query": "{ shop { id } }"}', '{"query": "{{ shop { id } }"}'),
	],
)
def test_expressions_in_requests_are_placeholders(text: str, template: str) -> None:
	def find(keys: tuple[Any, ...]) -> Place:
		return {("id",): Place("parent.id"), ("start_time",): Place("since", "date")}[keys]

	written = TemplateWriter({"slice": find}).write(evaluated(text, SCOPE))
	if "query" not in text:
		assert written == template
	assert Template.read(written)


def test_an_expression_is_kept_apart_from_what_it_would_be_computed_with() -> None:
	assert isinstance(evaluated("{{ response.token ~ config['api_key'] }}", SCOPE), Expr)
	with pytest.raises(Unconverted, match="secret"):
		TemplateWriter({}).write(evaluated("x={{ config['api_key'] }}", SCOPE))


@pytest.mark.parametrize(
	"text",
	[
		"- a\n- list",
		"a: [1, 2",
		"x" * (MOST_CHARACTERS + 1),
		"a: &a [x, x]\n"
		+ "\n".join(
			f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]" for n in range(9)
		),
		"a: &a {b: *a}",
		"a: !!python/object/apply:os.system [true]",
		"[" * 2000,
		"{" + '"a":{' * 150 + "}" * 151,
		"? {a: b}\n: c",
	],
	ids=("list", "broken", "long", "aliases", "itself", "python", "brackets", "deep", "keys"),
)
def test_documents_beyond_the_bounds_are_refused_at_once(text: str) -> None:
	began = time.monotonic()
	with pytest.raises(ImportRefused):
		read_document(text)
	assert time.monotonic() - began < 30


def test_times_stay_text() -> None:
	assert read_document("a: 2024-01-01\nb: 2024-01-01T00:00:00Z") == {
		"a": "2024-01-01",
		"b": "2024-01-01T00:00:00Z",
	}


MANIFEST = """
version: "4.3.0"
type: DeclarativeSource
streams:
  - type: DeclarativeStream
    name: orders
    primary_key: id
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: https://api.example.com
        path: {path}
        {more}
      record_selector: {{type: RecordSelector, extractor: {{type: DpathExtractor, field_path: []}}}}
"""


def _converted(path: str = "/orders", more: str = "") -> Any:
	return convert_manifest(MANIFEST.format(path=path, more=more), "shop")


@pytest.mark.parametrize(
	("path", "more", "place", "reason"),
	[
		(
			"/orders",
			"authenticator: {type: CustomAuthenticator, class_name: a.B}",
			"requester.authenticator",
			"a.B",
		),
		("/orders", "http_method: DELETE", "requester.http_method", "DELETE"),
		("'/{{ stream_slice.id }}'", "", "requester.path", "not known"),
		(
			"'/{{ config.token }}'",
			"authenticator: {type: BearerAuthenticator, api_token: '{{ config.token }}'}",
			"requester.path",
			"secret",
		),
		("/orders", "request_parameters: {a: '{{ something() }}'}", "request_parameters.a", "something"),
		("/orders", "error_handler: {type: CustomErrorHandler, class_name: a.B}", "error_handler", "a.B"),
		("/orders", "authenticator: {type: NewAuthenticator}", "authenticator", "NewAuthenticator"),
	],
)
def test_what_has_no_equal_is_named_with_its_place(path: str, more: str, place: str, reason: str) -> None:
	found = [str(one) for one in _converted(path, more).complaints]
	assert any(place in one and reason in one for one in found), found


def test_references_that_lead_nowhere_or_to_themselves_are_refused() -> None:
	for text in (
		"streams: [{$ref: '#/definitions/gone'}]",
		"definitions: {a: {$ref: '#/definitions/b'}, b: {$ref: '#/definitions/a'}}\nstreams: [{$ref: '#/definitions/a'}]",
		"other: 1",
	):
		with pytest.raises(ImportRefused):
			convert_manifest(text, "x")


def test_a_secret_reaches_no_text_of_the_settings(tmp_path: Path) -> None:
	more = "authenticator: {type: ApiKeyAuthenticator, header: X-Key, api_token: 'Token {{ config.credentials.key }}'}"
	proposal = _converted(more=more)
	assert [(one.name, one.secret) for one in proposal.questions] == [("credentials.key", True)]
	text = hub_toml_of(proposal)
	assert 'secret = "env:SHOP_SECRET"  # Token <credentials.key>' in text
	(tmp_path / "hub.toml").write_text(text)
	assert load(tmp_path / "hub.toml").streams["shop-orders"]["endpoint"] == "/orders"


def test_values_of_a_manifest_cannot_leave_their_place_in_hub_toml(tmp_path: Path) -> None:
	evil = "'/x\\n[hub]\\ndatabase = \"/tmp/evil\"'"
	proposal = _converted(path=evil.replace("'", '"').replace("\\n", "\\n").replace(' = "/tmp/evil"', ""))
	(tmp_path / "hub.toml").write_text(hub_toml_of(proposal))
	assert load(tmp_path / "hub.toml").hub == {}


def test_the_commands_convert_and_import(tmp_path: Path) -> None:
	file, config = tmp_path / "source-shop.yaml", tmp_path / "hub.toml"
	file.write_text(MANIFEST.format(path="/orders", more="request_parameters: {since: '{{ config.day }}'}"))
	run = lambda *args: CliRunner().invoke(integration_hub, ["--config", str(config), *args])  # noqa: E731
	printed = run("convert", "manifest", str(file), "--answer", "day=2024-01-01")
	assert printed.exit_code == 0 and 'params = "since=2024-01-01"' in printed.output
	assert not config.exists()
	refused = run("import", "manifest", str(file))
	assert refused.exit_code == 1 and not config.exists()  # nobody said yes
	made = run("import", "manifest", str(file), "--yes", "--answer", "day=2024-01-01")
	assert made.exit_code == 0, made.output
	assert "shop-orders" in load(config).streams
	again = run("import", "manifest", str(file), "--yes")
	assert again.exit_code == 1 and "--name" in again.output
	other = run("import", "manifest", str(file), "--yes", "--name", "other")
	assert other.exit_code == 0 and set(load(config).streams) == {"shop-orders", "other-orders"}


def test_names_are_those_that_frappe_takes() -> None:
	assert field_name("creation") != "creation" and field_name("9lives") == "n_9lives"
	assert field_name("@odata.Etag", {"odata_etag"}) == "odata_etag_2"
	assert stream_name("shop", "Orders & Lines") == "shop-orders-lines"


def test_records_that_may_be_missing_are_an_empty_list_and_one_object_is_one() -> None:
	assert find_records({"a": 1}, "data", True) == []
	assert find_records({"data": {"id": 1}}, "data", True) == [{"id": 1}]
	assert find_records({"id": 1}, "", True) == [{"id": 1}]


def test_the_first_page_may_be_asked_for_without_its_number() -> None:
	options = {"page_size": 2, "page_size_param": "", "page_param": "p", "more_path": "", "first_page": 0}
	plain = make_paginator("Page Number", options)
	unsaid = make_paginator("Page Number", {**options, "first_page_unsent": True})
	assert plain.sent()["page"] == ("p", 0) and unsaid.sent()["page"] == ("p", None)
	assert make_paginator("Page Number", {**options, "first_page_unsent": True}, "1").sent()["page"] == (
		"p",
		1,
	)


@pytest.mark.parametrize(
	("path", "url", "fits"),
	[
		("orders", "https://a.example/v1/orders?x=1", True),
		("orders/*", "https://a.example/v1/orders/5", True),
		("v1/orders", "https://a.example/orders", False),
		("orders", "https://a.example/orders/5", False),
		("a/b/c/d", "https://a.example/d", False),
	],
)
def test_a_rule_may_be_about_some_addresses(path: str, url: str, fits: bool) -> None:
	class Answer:
		status_code = 404

	answer = Answer()
	answer.url = url  # type: ignore[attr-defined]
	assert AnswerRule(statuses="404", action="Ignore", path=path).fits(answer) is fits  # type: ignore[arg-type]


def test_the_environment_is_not_looked_at() -> None:
	assert "PATH" in os.environ
	with pytest.raises(Unconverted):
		evaluated("{{ environ.PATH }}", SCOPE)


ROUTED = """
streams:
  - name: jobs
    primary_key: id
    retriever:
      requester: {type: HttpRequester, url_base: https://api.example.com, path: "/o/{{ stream_partition.org }}/t/{{ stream_partition.team }}"}
      record_selector: {extractor: {field_path: [data]}}
      partition_router: [ROUTERS]
    type: DeclarativeStream
definitions:
  orgs: {name: orgs, primary_key: id, retriever: {requester: {type: HttpRequester, url_base: https://api.example.com, path: /o}, record_selector: {extractor: {field_path: []}}}}
  teams:
    name: teams
    primary_key: id
    retriever:
      requester: {type: HttpRequester, url_base: https://api.example.com, path: "/o/{{ stream_slice.org }}/t"}
      record_selector: {extractor: {field_path: []}}
      partition_router: {type: SubstreamPartitionRouter, parent_stream_configs: [{parent_key: id, partition_field: org, stream: "#/definitions/orgs"}]}
"""
ORG = "{type: SubstreamPartitionRouter, parent_stream_configs: [{parent_key: id, partition_field: org, stream: '#/definitions/orgs'}]}"
TEAM = "{type: SubstreamPartitionRouter, parent_stream_configs: [{parent_key: key, partition_field: team, stream: '#/definitions/teams'}]}"


@pytest.mark.parametrize("routers", [f"{ORG}, {TEAM}", f"{TEAM}, {ORG}"])
def test_two_parents_of_which_one_is_within_the_other_are_a_chain(routers: str) -> None:
	found = convert_manifest(ROUTED.replace("ROUTERS", routers), "x")
	assert [str(one) for one in found.complaints] == []
	jobs = found.streams["x-jobs"]
	assert (jobs["parent_stream"], jobs["endpoint"]) == ("x-teams", "/o/{parent.^.id}/t/{parent.key}")


def test_lists_of_values_are_one_list_of_their_combinations() -> None:
	routers = "{type: ListPartitionRouter, values: [a, b], cursor_field: org}, {type: ListPartitionRouter, values: [1, 2], cursor_field: team}"
	jobs = convert_manifest(ROUTED.replace("ROUTERS", routers), "x").streams["x-jobs"]
	assert jobs["endpoint"] == "/o/{slice.org}/t/{slice.team}"
	assert jobs["slice_values"].splitlines()[:2] == ['{"org": "a", "team": "1"}', '{"org": "a", "team": "2"}']


def test_a_manifest_without_a_spec_asks_for_what_it_reads() -> None:
	found = _converted("'/{{ config.shop.name }}'")
	assert [one.name for one in found.questions] == ["shop.name"]
	answered = convert_manifest(
		MANIFEST.format(path="'/{{ config.shop.name }}'", more=""), "shop", {"shop.name": "a"}
	)
	assert answered.streams["shop-orders"]["endpoint"] == "/a"


@pytest.mark.parametrize(
	("formats", "found"),
	[
		(["%Y-%m-%dT%H:%M:%SZ"], ("", True)),
		(["%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d"], ("", True)),
		(["%s"], ("s", True)),
		(["%ms"], ("ms", True)),
		(["%Y-%m-%d", "%s"], ("", True)),
		(["%d/%m/%Y"], ("%d/%m/%Y", True)),
		(["%d/%m/%Y", "%Y-%m-%d"], ("", False)),
	],
)
def test_times_of_records_are_read_as_they_are_written(formats: list[str], found: tuple[str, bool]) -> None:
	assert record_format(formats) == found


def test_a_secret_in_the_query_of_a_path_is_a_parameter_of_the_credentials() -> None:
	found = _converted("'/fonts?sort=name&key={{ config.api_key }}'")
	assert [str(one) for one in found.complaints] == []
	row = found.integrations["shop"]
	assert (row["auth_type"], row["api_key_name"]) == ("API Key Query", "key")
	assert found.streams["shop-orders"]["params"] == "sort=name"
	assert "api_key" not in found.streams["shop-orders"]["endpoint"]


def test_fields_of_a_retriever_that_have_no_equal_are_named() -> None:
	text = MANIFEST.format(path="/orders", more="").replace(
		"      record_selector", "      pagination_reset: {type: X}\n      record_selector"
	)
	assert any("pagination_reset" in one.path for one in convert_manifest(text, "shop").complaints)


@pytest.mark.parametrize(
	("more", "place"),
	[
		("fetch_properties_from_endpoint: {type: X}", "requester.fetch_properties_from_endpoint"),
		("error_handler: {response_filter: {type: X}}", "requester.error_handler.response_filter"),
		("authenticator: {type: BearerAuthenticator, api_token: x, header: X}", "authenticator.header"),
		("authenticator: {type: JwtAuthenticator, passphrase: x, request_option: {}}", "passphrase"),
		("authenticator: {type: OAuthAuthenticator, send_refresh_request_as_query_params: true}", "as_query"),
	],
)
def test_fields_that_nothing_reads_are_named(more: str, place: str) -> None:
	found = [str(one) for one in _converted(more=more).complaints]
	assert any(place in one and "has no equal" in one for one in found), found


@pytest.mark.parametrize("field", ["stream_slicer: {type: X}", "incremental_sync: {type: X}", "typo: 1"])
def test_fields_that_a_retriever_does_not_have_are_named(field: str) -> None:
	text = MANIFEST.format(path="/orders", more="").replace(
		"      record_selector", f"      {field}\n      record_selector"
	)
	assert any(field.split(":")[0] in one.path for one in convert_manifest(text, "shop").complaints)


def test_a_copy_of_an_inherited_parameter_is_no_unknown_field() -> None:
	text = MANIFEST.format(path="/orders", more="primary_key: id")
	assert any("primary_key" in one.path for one in convert_manifest(text, "shop").complaints)
	text = text.replace("    name: orders", "    name: orders\n    $parameters: {primary_key: id}")
	assert not convert_manifest(text, "shop").complaints
