"""Values arrive as they are, or their record fails: never another value in silence."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.json_text import DEEPEST, read_json, write_json
from integration_hub.connectors.numbers import shown
from integration_hub.stores.fields import Field
from integration_hub.stores.runtime import HubError
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.conversions import converter
from integration_hub.sync.field_values import fit, fitter
from integration_hub.sync.mapping import Mapper
from integration_hub.sync.run import run_stream
from tests.compare import errors


def local_time(moment: datetime) -> str:
	return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def convert(value: Any, conversion: str, argument: str = "") -> Any:
	return converter(conversion, argument, local_time, {})(value)


NO_NUMBERS = [
	"12,50",
	"1.234,56",
	"1,234.56",
	"1_000",
	"N/A",
	"-",
	"",
	"١٢",
	"0x10",
	"1e",
	"nan",
	"Infinity",
	"12 EUR",
]


@pytest.mark.parametrize("value", [v for v in NO_NUMBERS if v])
@pytest.mark.parametrize("conversion", ["Integer", "Number"])
def test_text_that_is_no_number_is_none(value: str, conversion: str):
	with pytest.raises(ValueError, match="is not a number"):
		convert(value, conversion)


@pytest.mark.parametrize("value", [v for v in NO_NUMBERS if v])
@pytest.mark.parametrize(
	"kind", ["Int", "Long Int", "Float", "Currency", "Percent", "Check", "Rating", "Duration"]
)
def test_text_that_is_no_number_fits_no_field_of_numbers(value: str, kind: str):
	wrong = fit([{"amount": value}], {"amount": Field(kind)})
	assert "amount: " in str(wrong[0])
	assert "is not a number" in str(wrong[0])


@pytest.mark.parametrize(
	("value", "expected"), [("5.0000", 5), (" 12 ", 12), ("1e3", 1000), (7.0, 7), (2**64, 2**64), ("-0", 0)]
)
def test_whole_numbers_in_other_spellings(value: Any, expected: int):
	assert convert(value, "Integer") == expected


@pytest.mark.parametrize("value", ["5.5", 5.5, "1e-3", "1e9999", True, [], float("inf")])
def test_what_is_no_whole_number(value: Any):
	with pytest.raises(ValueError, match="is not a"):
		convert(value, "Integer")


@pytest.mark.parametrize(
	("field", "value", "expected"),
	[
		(Field("Int"), "5.0000", 5),
		(Field("Int"), True, 1),
		(Field("Float"), "1.5", 1.5),
		(Field("Currency"), "", ""),
		(Field("Float"), 2**63, float(2**63)),  # a driver takes no integers of more than 64 bits
		(Field("Currency"), -(2**64), -float(2**64)),
		(Field("Float"), 2**53 + 1, 2**53 + 1),
		(Field("Check"), "1", 1),
		(Field("Date"), "2026-03-01T23:00:00Z", "2026-03-01"),
		(Field("Date"), date(2026, 3, 1), "2026-03-01"),
		(Field("Date"), "0000-00-00", None),
		(Field("Date"), "0001-01-01T00:00:00Z", None),
		(Field("Datetime"), "2026-03-01T12:00:00", "2026-03-01 12:00:00"),
		(Field("Datetime"), "0000-00-00 00:00:00", None),
		(Field("Time"), "09:30:00", "09:30:00"),
		(Field("Data"), 12, "12"),
		(Field("Data"), True, "true"),
		(Field("Data"), 2**64, "18446744073709551616"),
		(Field("Select", "1\n2"), 1, "1"),
	],
)
def test_a_value_takes_the_type_of_its_field(field: Field, value: Any, expected: Any):
	row = {"it": value}
	assert fit([row], {"it": field}) == {}
	assert row["it"] == expected
	assert type(row["it"]) is type(expected)


@pytest.mark.parametrize(
	("field", "value", "says"),
	[
		(Field("Int"), 2**31, "out of range"),
		(Field("Int", length=20), 2**63, "out of range"),
		(Field("Long Int"), 10**400, "out of range"),
		(Field("Long Int"), 10**5000, "out of range"),
		(Field("Float"), 10**400, "too large"),
		(Field("Float"), float("nan"), "not a finite number"),
		(Field("Data"), float("inf"), "not JSON compliant"),
		(Field("Check"), "yes", "is not a number"),
		(Field("Check"), 2, "neither 0 nor 1"),
		(Field("Date"), "31.01.2026", "is not a date"),
		(Field("Date"), "0031-05-12", "the year 31 is before 1000"),
		(Field("Date"), 1772366400, "is not a date"),
		(Field("Date"), "2026-02-30", "is not a date"),
		(Field("Datetime"), "2026-03-01T12:00:00Z", "the conversion Datetime makes one"),
		(Field("Datetime"), "0031-03-01 12:00:00", "before 1000"),
		(Field("Time"), "half past nine", "not a time of day"),
		(Field("Time"), 930, "not a time of day"),
	],
	ids=shown,
)
def test_what_does_not_fit_names_the_field(field: Field, value: Any, says: str):
	for rows, fields, name in (
		([{"it": value}], {"it": field}, "it: "),
		([{"lines": [{"it": value}]}], {"lines": Field("Table", "Line", fields={"it": field})}, "lines.it: "),
	):
		wrong = fit(rows, fields)
		assert str(wrong[0]).startswith(name)
		assert says in str(wrong[0])


@given(
	st.recursive(
		st.none()
		| st.booleans()
		| st.integers()
		| st.floats()
		| st.text()
		| st.sampled_from([10**400, "9" * 5000]),
		lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
		max_leaves=5,
	),
	st.sampled_from(
		["Int", "Long Int", "Check", "Float", "Date", "Datetime", "Time", "Data", "Select", "JSON"]
	),
)
def test_any_value_fits_or_is_refused(value: Any, kind: str):
	try:
		found = fitter(Field(kind))(value)
	except (ValueError, OverflowError, TypeError, RecursionError):
		return
	assert found is None or isinstance(found, str | int | float)


ZERO_TIMES = [
	"0001-01-01T00:00:00Z",
	"0001-01-01T00:00:00",
	"0001-01-01T00:00:00.0000000",
	"0001-01-01T00:00:00+02:00",
	"0001-01-01",
	"0000-00-00 00:00:00",
	"0000-00-00",
	"-0001-11-30T00:00:00+00:00",
]


@pytest.mark.parametrize("value", ZERO_TIMES)
def test_a_zero_time_is_no_time(value: str):
	rows = (FieldMapping("at", "at", "Datetime"), FieldMapping("at", "day", "Date", "Europe/Berlin"))
	mapper = Mapper(StreamConfig("s", mapping=rows, updated_at_path="at", deleted_path="at"), local_time)
	mapped = mapper.map({"id": 1, "at": value})
	assert (mapped.values, mapped.source_time, mapped.deleted) == ({"at": None, "day": None}, "", False)


@pytest.mark.parametrize("value", ["0031-05-12T00:00:00Z", "0999-12-31", "0031-05-12"])
@pytest.mark.parametrize("conversion", ["Date", "Datetime"])
def test_a_year_that_databases_change_is_refused(value: str, conversion: str):
	with pytest.raises(ValueError, match="is before 1000"):
		convert(value, conversion)


@pytest.mark.parametrize(
	("value", "conversion", "argument", "expected"),
	[
		(94694400000, "Datetime", "ms", "1973-01-01 00:00:00"),
		(1000, "Datetime", "ms", "1970-01-01 00:00:01"),
		("1772366400", "Datetime", "s", "2026-03-01 12:00:00"),
		(1772366400.9, "Datetime", "s", "2026-03-01 12:00:00"),
		(-86400, "Date", "s", "1969-12-31"),
		(1772366400000, "Datetime", "", "2026-03-01 12:00:00"),
		("31.01.2026", "Date", "%d.%m.%Y", "2026-01-31"),
		("31/01/2026 13:45", "Datetime", "%d/%m/%Y %H:%M", "2026-01-31 13:45:00"),
		("31/01/2026 13:45", "Datetime", "%d/%m/%Y %H:%M | Europe/Berlin", "2026-01-31 12:45:00"),
		("31/01/2026 23:45 +0000", "Date", "%d/%m/%Y %H:%M %z | Europe/Berlin", "2026-02-01"),
		("Sat, 31 Jan 2026 13:45:00 GMT", "Datetime", "RFC 2822", "2026-01-31 13:45:00"),
		("Sat, 31 Jan 2026 13:45:00 +0100", "Datetime", "RFC 2822", "2026-01-31 12:45:00"),
		("20260131", "Date", "", "2026-01-31"),
		("20260131", "Date", "20260131", "2026-01-31"),
		(20260131, "Date", "20260131", "2026-01-31"),
		("20260131T134500Z", "Datetime", "", "2026-01-31 13:45:00"),
		("2026-01-31T13:45:00,5Z", "Datetime", "ISO 8601", "2026-01-31 13:45:00"),
	],
)
def test_times_in_a_unit_or_a_format(value: Any, conversion: str, argument: str, expected: str):
	assert convert(value, conversion, argument) == expected


@pytest.mark.parametrize(
	("value", "conversion", "argument", "says"),
	[
		(31536000000, "Datetime", "", "may be seconds or milliseconds"),
		(10**400, "Datetime", "", "is not a time in ms"),
		("10e999999", "Datetime", "s", "is not a time in s"),
		("1_000", "Datetime", "s", "is not a time in s"),
		("2026-01-31", "Date", "%d.%m.%Y", "is not a time like"),
		("2026-01-31 and more", "Date", "", "is not an ISO 8601 date"),
		("31 Jan", "Datetime", "RFC 2822", "is not an RFC 2822 time"),
	],
	ids=shown,
)
def test_times_that_are_none_in_that_format(value: Any, conversion: str, argument: str, says: str):
	with pytest.raises(ValueError, match=says):
		convert(value, conversion, argument)


@pytest.mark.parametrize("argument", ["%H:%M", "%Q", "dd.mm.yyyy", "x | Europe/Berlin", "ms | Mars/Olympus"])
def test_a_format_that_is_none_is_refused_when_it_is_set(argument: str):
	with pytest.raises(ValueError, match=r"format|time zone|leaves out"):
		converter("Datetime", argument, local_time, {})


def test_what_is_neither_a_format_nor_a_zone_is_told_how_both_are_written():
	with pytest.raises(ValueError, match=r"not a time zone \(like Europe/Berlin\), nor a format.*%d\.%m\.%Y"):
		converter("Date", "dd.mm.yyyy", local_time, {})


def test_json_keeps_every_digit():
	text = '{"a": 99999999999999.99, "b": [1.10, 18446744073709551617], "c": "x"}'
	assert write_json(read_json(text)) == text
	assert convert(read_json("99999999999999.99"), "Text") == "99999999999999.99"
	assert read_json("9" * 5000) == "9" * 5000  # more digits than Python's own reader takes
	assert read_json('{"a": 1.5}') == json.loads('{"a": 1.5}')
	with pytest.raises(ValueError, match="Expecting"):
		read_json("{")


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}"), ('[{"b":1},', "]")])
def test_json_is_read_as_deeply_by_each_python(open_: str, close: str):
	"""Python 3.14 reads tens of thousands of levels, which nothing that goes through them can."""

	def nested(depth: int) -> str:
		return open_ * depth + "1" + close * depth

	assert json.dumps(read_json(nested(DEEPEST)))
	for depth in (2_000, 20_000, 200_000):
		with pytest.raises(RecursionError):
			read_json(nested(depth))


# Values that one record brings into a page of good ones; each fails alone, if at all, and names its field.
ODD = [
	10**400,
	"9" * 400,
	2**63,
	2**64,
	float("nan"),
	float("inf"),
	1e308,
	"12,50",
	"0031-01-01",
	[[]],
	{"a": {}},
]


@pytest.mark.parametrize("field", ["active", "updated_at", "name"])
@pytest.mark.parametrize("value", ODD, ids=shown)
def test_an_odd_value_is_one_records_failure(make_runtime, crm, field: str, value: Any):
	runtime = make_runtime()
	crm.customers._rows["CUST-000003"][field] = value
	for stream in ("customers-full", "customers-incremental"):
		row = run_stream(runtime, stream)
		assert row["status"] in ("Partial", "Completed"), row["error"]
		assert (row["failed"], row["created"]) in ((1, 249), (0, 250))
	assert all(
		error["external_id"] == "CUST-000003" for error in errors(runtime) if error["operation"] == "Sync"
	)


def test_numbers_into_text_keep_their_digits_on_sqlite(make_runtime, crm):
	runtime = make_runtime()
	crm.customers._rows["CUST-000003"]["name"] = 99999999999999.99
	run_stream(runtime, "customers-full")
	sql = "SELECT `customer_name` FROM `tabSandbox Customer` WHERE `customer_id` = 'CUST-000003'"
	assert runtime.db.query(sql)[0]["customer_name"].startswith("99999999999999.9")


@pytest.mark.parametrize("field", ["name", "creation", "modified", "owner", "docstatus", "idx", "parent"])
def test_a_column_that_the_hub_keeps_is_no_field(make_runtime, field: str):
	with pytest.raises(HubError, match="is set by the app itself") as caught:
		make_runtime(('customer_name = "Data"', f'customer_name = "Data"\n{field} = "Data"'))
	assert caught.value.field == field


def test_a_changed_fieldtype_is_applied_or_refused(make_runtime):
	make_runtime().close()
	text = ('email = "Data"', 'email = "Int"')
	runtime = make_runtime(text)  # nothing stands there yet
	kinds = {row["name"]: row["type"] for row in runtime.db.query("PRAGMA table_info(`tabSandbox Customer`)")}
	assert kinds["email"] == "INTEGER"
	runtime.close()
	runtime = make_runtime()
	run_stream(runtime, "customers-full")
	runtime.close()
	with pytest.raises(HubError, match=r"email – holds TEXT values and cannot become Int"):
		make_runtime(text)
