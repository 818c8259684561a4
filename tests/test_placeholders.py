"""Templates of requests: what placeholders give, and what is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.placeholders import (
	Template,
	TemplateError,
	escaped,
	filled_tree,
	path_text,
	placeholders_in,
	read_tree,
	unknown_placeholder,
)

SINCE = "2026-03-29T00:59:59.987654Z"
VALUES = {
	"since": SINCE,
	"page": 3,
	"empty": "",
	"nothing": None,
	"parent": {"id": "a/b c", "tags": ["x", "y"], "deep": {"n": 1.5}, "ok": True},
}


@pytest.mark.parametrize(
	("template", "text"),
	[
		("plain", "plain"),
		("", ""),
		("{page}", "3"),
		("a{{b}}c", "a{b}c"),
		("{{{page}}}", "{{page}}"),
		('{"a":{"page":{page}}}', '{"a":{"page":3}}'),
		("{ shop { name } }", "{ shop { name } }"),
		("{} { {1} }}", "{} { {1} }}"),
		("{since}", SINCE),
		("{since:iso}", "2026-03-29T00:59:59Z"),
		("{since:iso_ms}", "2026-03-29T00:59:59.987Z"),
		("{since:iso_us}", "2026-03-29T00:59:59.987654Z"),
		("{since:epoch}", "1774745999"),
		("{since:epoch_ms}", "1774745999987"),
		("{since:epoch_us}", "1774745999987654"),
		("{since:date}", "2026-03-29"),
		("{since:%Y-%m-%d %H:%M:%S}", "2026-03-29 00:59:59"),
		("{since:%H:%M:%S.%3f}", "00:59:59.987"),
		("{since:%Y-%m-%d %H:%M@Europe/Berlin}", "2026-03-29 01:59"),
		("{since:iso@Europe/Berlin}", "2026-03-29T01:59:59+01:00"),
		("{since:@Asia/Kolkata}", "2026-03-29T06:29:59+05:30"),
		("modified ge {since:iso}", "modified ge 2026-03-29T00:59:59Z"),
		(">={since:epoch}", ">=1774745999"),
		("{parent.id}", "a/b c"),
		("{parent.id:url}", "a%2Fb%20c"),
		("{parent.id:upper}", "A/B C"),
		("{parent.id:base64}", "YS9iIGM="),
		("{parent.tags.1}", "y"),
		("{parent.tags}", '["x","y"]'),
		("{parent.deep.n}", "1.5"),
		("{parent.ok}", "true"),
		("{empty|0}", "0"),
		("{nothing:iso|1970-01-01}", "1970-01-01"),
		("{parent.gone|}", ""),
		("{page|9}", "3"),
	],
)
def test_a_placeholder_is_replaced_by_its_value(template: str, text: str) -> None:
	assert Template.read(template).text(VALUES) == text


@pytest.mark.parametrize(
	"template", ["{nothing}", "{empty}", "a {parent.gone} b", "{parent.tags.7}", "{page.x}"]
)
def test_a_template_without_a_value_is_no_text_at_all(template: str) -> None:
	assert Template.read(template).text(VALUES) is None


@pytest.mark.parametrize(
	("template", "names"),
	[
		("{a b}", "{a b}"),
		("{a..b}", "{a..b}"),
		("{parent.}", "{parent.}"),
		("{__class__.__init__()}", "{__class__.__init__()}"),
		("{since:isoo}", "'isoo'"),
		("{since:iso@Mars/Base}", "'Mars/Base'"),
		("{since:epoch@Europe/Berlin}", "{since:epoch@Europe/Berlin}"),
		("{page[0]}", "{page[0]}"),
		("{page!r}", "{page!r}"),
	],
)
def test_a_template_that_cannot_be_read_is_refused_by_name(template: str, names: str) -> None:
	with pytest.raises(TemplateError) as refused:
		Template.read(template)
	assert names in str(refused.value)


@pytest.mark.parametrize(
	"template", ["{page:iso@Europe/Berlin}", "{parent.id:epoch}", "{parent.id:int}", "{parent.ok:int}"]
)
def test_a_value_that_does_not_fit_its_format_is_refused_without_being_shown(template: str) -> None:
	with pytest.raises(TemplateError) as refused:
		Template.read(template).text({**VALUES, "page": "never"})
	assert template in str(refused.value)
	assert "a/b c" not in str(refused.value) and "never" not in str(refused.value)


def test_a_path_keeps_what_a_value_holds_within_its_segment() -> None:
	template = Template.read("/customers/{parent.id}/orders?x={parent.id:raw}")
	assert path_text(template, VALUES) == "/customers/a%2Fb%20c/orders?x=a/b c"


def test_a_tree_keeps_types_and_leaves_out_what_has_no_value() -> None:
	tree = {
		"page": "{page}",
		"as_text": "{page:text}",
		"n": "{page}0",
		"cursor": "{nothing}",
		"kept": None,
		"flag": True,
	}
	tree |= {"list": ["{nothing}", "{parent.tags}", 7], "in": {"since": "{nothing|2020-01-01}"}}
	assert filled_tree(read_tree(tree), VALUES) == {
		"page": 3,
		"as_text": "3",
		"n": "30",
		"kept": None,
		"flag": True,
		"list": [["x", "y"], 7],
		"in": {"since": "2020-01-01"},
	}


def test_an_unknown_placeholder_is_named_with_those_there_are() -> None:
	found = list(placeholders_in(read_tree({"a": ["{page}", "{parent.id}", "{sinec}"]})))
	assert unknown_placeholder(found[:2], ("page", "parent.")) is None
	assert (
		unknown_placeholder(found, ("page", "parent."))
		== "{sinec} is not a placeholder; there are {page}, {parent.…}"
	)


@given(st.text() | st.text(alphabet="{}ab"))
def test_any_text_can_be_escaped(text: str) -> None:
	assert Template.read(escaped(text)).text({"a": 1, "b": 2, "ab": 3}) == text


@given(
	st.text(alphabet="{}ab:|@.%Y \n\x00\ud800é"),
	st.sampled_from([SINCE, "1", "\ud800", 10**400, [], {"a": 2}]),
)
def test_any_text_is_read_or_refused(text: str, value: object) -> None:
	try:
		Template.read(text).text({"a": value, "b": {"a": value}})
		Template.read(f"{{a:%{text}}}").text({"a": value})
		path_text(Template.read("{a} {a:base64} {a:raw}"), {"a": value})
	except TemplateError as refused:
		assert str(refused)


json_values = st.recursive(
	st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(alphabet="abc é"),
	lambda inner: st.lists(inner, max_size=3)
	| st.dictionaries(st.text(alphabet="xyz{}", max_size=3), inner, max_size=3),
	max_leaves=10,
)


@given(json_values)
def test_a_tree_without_placeholders_stays_as_it_is(tree: object) -> None:
	assert filled_tree(read_tree(tree), {}) == json.loads(json.dumps(tree))
