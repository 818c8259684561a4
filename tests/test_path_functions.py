"""Functions of expressions: text, patterns, exact numbers, money, tables; what is refused, and that none takes long."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.bounded_jmespath import PathError, path_problem, search
from integration_hub.connectors.json_text import read_json
from integration_hub.stores.fields import Field
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.sync.stream_checks import StreamContext, stream_problems

RECORD = read_json("""{
	"sku": " ab-12 ", "id": 7, "price": "19.99", "qty": 3, "none": null, "empty": "", "flag": true,
	"large": 99999999999999.99, "eur": "1.234,56 \\u20ac", "state": "DE",
	"lines": [{"price": "0.10", "qty": 3}, {"price": 0.2, "qty": "1"}]
}""")


@pytest.mark.parametrize(
	("path", "expected"),
	[
		("upper(trim(sku))", "AB-12"),
		("lower('ÄB')", "äb"),
		("trim(none)", None),
		("concat(id, '-', trim(sku))", "7-ab-12"),
		("concat(id, none)", None),
		("join(' ', [none, state, empty][?@])", "DE"),
		("replace(sku, ' ', '')", "ab-12"),
		("split(trim(sku), '-')", ["ab", "12"]),
		("extract(sku, '[0-9]+')", "12"),
		("extract(sku, '(a)b')", "a"),
		("extract(sku, 'z')", None),
		("extract(id, '[0-9]')", "7"),
		("matches(sku, '^ ab')", True),
		("multiply(price, qty)", 59.97),
		("subtract(price, `20`)", -0.01),
		("add(large, '0.01')", 100000000000000),
		("divide(`1`, `8`)", 0.125),
		("round(divide(`2`, `3`), `2`)", 0.67),
		("round('2.675', `2`)", 2.68),
		("round('-2.5', `0`)", -3),
		("total(lines[*].multiply(price, qty))", 0.5),
		("total(`[]`)", 0),
		("money(eur, ',')", 1234.56),
		("money(none, ',')", None),
		("money(price, '.')", 19.99),
		('lookup(state, `{"DE": "Germany"}`)', "Germany"),
		('lookup(id, `{"7": "seven"}`)', "seven"),
		('lookup(flag, `{"true": "yes"}`)', "yes"),
		('lookup(\'x\', `{"*": "other"}`)', "other"),
		('lookup(none, `{"*": "other"}`)', None),
		("if(qty > `2`, 'many', 'few')", "many"),
		("if(none, 'there', 'not')", "not"),
		("max([large])", 99999999999999.99),
	],
)
def test_functions(path, expected):
	assert search(path, RECORD) == expected


@pytest.mark.parametrize(
	("text", "point", "expected"),
	[
		("12", ".", "12"),
		("1,234.50", ".", "1234.50"),
		("1.234,50", ",", "1234.50"),
		("1 234,50 kr", ",", "1234.50"),
		("1\u202f234,50\u00a0€", ",", "1234.50"),
		("CHF 1'234.50", ".", "1234.50"),
		("US$ 12.00", ".", "12"),
		("$-5", ".", "-5"),
		("-$5.25", ".", "-5.25"),
		("5.25-", ".", "-5.25"),
		("(5.25)", ".", "-5.25"),
		("\u22125", ".", "-5"),
		("₹12,34,567.89", ".", "1234567.89"),
		("99999999999999.99 EUR", ".", "99999999999999.99"),
	],
)
def test_money(text, point, expected):
	assert Decimal(str(search(f"money(@, '{point}')", text))) == Decimal(expected)


@pytest.mark.parametrize(
	("text", "point"),
	[
		("12,50", "."),
		("1.2345", ","),
		("1,23,4.00", "."),
		("1.234.56", "."),
		("12 k", "."),
		("1.5 MIO", "."),
		("ab 12", "."),
		("1e3", "."),
		("12.", "."),
		(".", "."),
		("--5", "."),
		("(-5)", "."),
		("(5", "."),
		("٣", "."),
		("N/A", "."),
		("1" * 200, "."),
	],
)
def test_what_is_no_amount_in_the_source_s_writing_fails(text, point):
	with pytest.raises(PathError, match="money"):
		search(f"money(@, '{point}')", text)


@pytest.mark.parametrize(
	"path",
	[
		"add(price, none)",
		"multiply(price, flag)",
		"add('12,5', `1`)",
		"divide(price, `0`)",
		"total([price, none])",
		"round(price, `30`)",
		"round(price, `1.5`)",
		"multiply('1e300', '1e300')",
		"lower(lines)",
		"concat(id, flag)",
		"replace(sku, '', 'x')",
		"split(sku, '')",
		"lookup('x', `{}`)",
	],
)
def test_what_does_not_fit_fails_the_record(path):
	mapper = Mapper(StreamConfig("s", mapping=(FieldMapping(path, "title"),)), str)
	with pytest.raises(MappingError, match="^title: .*[(][)]"):
		mapper.map(RECORD)


@pytest.mark.parametrize(
	("path", "says"),
	[
		("extract(sku, '(')", "not a regular expression"),
		("extract(sku, '(a)\\1')", "not a regular expression"),
		("extract(sku, state)", "only text in quotes"),
		("matches(sku, `1`)", "a pattern is text"),
		(f"matches(sku, '{'a' * 600}')", "a pattern is text"),
		("money(price, ';')", "no decimal point"),
		("money(price)", "it takes 2"),
		("if(price, 'a')", "it takes 3"),
	],
)
def test_a_mistake_in_an_expression_is_said_when_it_is_saved(path, says):
	assert says in path_problem(path)
	stream = StreamConfig("s", endpoint="/x", target_doctype="T", mapping=(FieldMapping(path, "title"),))
	context = StreamContext({}, lambda doctype: {}, lambda name: "")
	found = [
		said
		for field, said in stream_problems(stream, {"title": Field("Data")}, context)
		if field == "mapping"
	]
	assert found and says in found[0]


def test_a_pattern_takes_no_longer_than_its_text():
	assert search("extract(@, '^(a*)*$')", "a" * 500_000 + "b") is None


@given(st.integers(-(10**12), 10**12), st.integers(-(10**12), 10**12))
def test_sums_of_cents_are_exact(one, other):
	left, right = (f"{number / 100:.2f}" for number in (one, other))
	found = search("add(a, b)", {"a": left, "b": right})
	assert Decimal(str(found)) == Decimal(left) + Decimal(right)
