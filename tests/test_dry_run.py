"""A dry run compares values and not their ways of writing: what was written is no change, in any type."""

from copy import deepcopy
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.stores.fields import Field
from integration_hub.stores.runtime import Change
from integration_hub.sync.compare import canonical, differences
from integration_hub.sync.field_values import fit

TIMES = st.times().map(lambda t: t.isoformat())
DAYS = st.dates(date(1900, 1, 1), date(2400, 1, 1))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2400, 1, 1))
KINDS = {
	"Data": st.text("aä<>'\"\\ ", max_size=20),
	"Small Text": st.text("aä\n", max_size=20),
	"Text": st.text(max_size=20).filter(lambda t: t.isprintable()),
	"Long Text": st.text("ab", max_size=20),
	"Code": st.text("ab=", max_size=20),
	"JSON": st.sampled_from(['{"b": 1, "a": [1, 2]}', {"ö": None}, [1, "x"]]),
	"Int": st.integers(-(2**31) + 1, 2**31 - 1) | st.integers(0, 99).map(str),
	"Long Int": st.integers(-(2**63) + 1, 2**63 - 1),
	"Check": st.booleans() | st.sampled_from([0, 1, "0", "1"]),
	"Float": st.floats(-1e9, 1e9) | st.decimals(-1000, 1000, places=3).map(str),
	"Currency": st.decimals(-1000, 1000, places=2).map(str) | st.integers(-9, 9),
	"Percent": st.integers(0, 100),
	"Rating": st.integers(0, 100).map(lambda n: n / 100),
	"Duration": st.integers(0, 10**6),
	"Date": DAYS.map(date.isoformat) | DAYS,
	"Datetime": MOMENTS.map(lambda m: m.isoformat(" ")) | MOMENTS,
	"Time": TIMES | st.just("9:30") | st.times(),
}
EMPTY = st.none() | st.just("")
NAMES = {kind: kind.lower().replace(" ", "_") for kind in KINDS}
TABLE = "".join(
	f'\n[table."{name}"]\n' + "".join(f'{field} = "{kind}"\n' for kind, field in NAMES.items()) + more
	for name, more in (("Thing Row", ""), ("Thing", 'rows = {fieldtype = "Table", options = "Thing Row"}\n'))
)
ROW = st.fixed_dictionaries({NAMES[kind]: values | EMPTY for kind, values in KINDS.items()})
THING = st.builds(lambda row, rows: {**row, "rows": rows}, ROW, st.lists(ROW, max_size=3))


@pytest.fixture
def target(make_runtime):
	runtime = make_runtime(("[integration.crm]", f"{TABLE}\n[integration.crm]"))
	return runtime.target("Thing", "Documents")


def written(target, values: dict) -> str:
	with target.runtime.db.transaction():
		[outcome] = target.write([Change("X", None, deepcopy(values))])
	assert outcome.error is None
	return outcome.name


def foretold(target, name: str, values: dict):
	[found] = target.foresee([Change("X", name, values)], target, "")
	return found


@given(values=THING)
def test_what_was_written_is_no_change(target, values):
	again = deepcopy(values)
	for row in (values, again):
		assert fit([row], target.fields()) == {}
	found = foretold(target, written(target, values), again)
	assert (found.changes, found.error) == ({}, None)


@given(values=THING, others=ROW, kind=st.sampled_from(sorted(KINDS)))
def test_a_change_is_shown_alone(target, values, others, kind):
	field = NAMES[kind]
	fit([values], target.fields())
	name = written(target, values)
	then = {**deepcopy(values), field: others[field]}
	fit([then], target.fields())
	found = foretold(target, name, then)
	moved = canonical(kind, values[field]) != canonical(kind, then[field])
	assert set(found.changes) == ({field} if moved else set())


def test_of_a_table_the_rows_are_shown_that_are_other(target):
	rows = [{NAMES["Data"]: text, NAMES["Time"]: "09:30:00"} for text in ("a", "b", "b", "c")]
	name = written(target, {"rows": rows})
	then = [rows[0], {**rows[1], NAMES["Data"]: "x"}, rows[2], rows[3], {"data": "new", "time": "9:31"}]
	before, after = foretold(target, name, {"rows": then}).changes["rows"]
	assert [row["data"] for row in before] == ["b"]
	assert [(row["data"], row["time"]) for row in after] == [("x", "09:30:00"), ("new", "09:31:00")]
	assert foretold(target, name, {"rows": rows[1:]}).changes["rows"][1] == []
	turned = foretold(target, name, {"rows": rows[::-1]}).changes["rows"]
	assert [[row["data"] for row in side] for side in turned] == [["a", "b", "b", "c"], ["c", "b", "b", "a"]]


@pytest.mark.parametrize(
	("kind", "one", "other"),
	[
		("Time", "09:30:00", "09:30:00.000000"),
		("Time", timedelta(hours=9, minutes=30), "9:30"),
		("Time", time(9, 30), "09:30:00"),
		("Time", timedelta(seconds=0.25), "00:00:00.25"),
		("Datetime", "2026-01-31 09:30:00", datetime(2026, 1, 31, 9, 30)),
		("Datetime", "2026-01-31T09:30:00.5", "2026-01-31 09:30:00.500000"),
		("Datetime", "2026-01-31", "2026-01-31 00:00:00.000000"),
		("Date", date(2026, 1, 31), "2026-01-31"),
		("Date", datetime(2026, 1, 31), "2026-01-31 00:00:00"),
		("Currency", Decimal("12.500000000"), "12.5"),
		("Percent", None, 0),
		("Float", 0.1 + 0.2, 0.3),
		("Rating", Decimal("0.33"), 0.333),
		("Duration", 3600.0, 3600),
		("Check", None, False),
		("Check", 1, True),
		("Int", "5", 5),
		("JSON", '{"b":1,"a":2}', {"a": 2, "b": 1}),
		("Select", " red", "red"),
		("Data", None, ""),
		("Data", "5", 5),
	],
)
def test_equal_values_have_one_form(kind, one, other):
	assert differences({"x": one}, {"x": other}, {"x": Field(kind)}) == {}
	assert differences({"x": other}, {"x": one}, {"x": Field(kind)}) == {}


@pytest.mark.parametrize(
	("kind", "one", "other"),
	[
		("Time", "09:30:00", "09:30:00.5"),
		("Datetime", "2026-01-31", "2026-01-31 00:00:01"),
		("Data", "a", "A"),
		("Data", "a", "a "),
		("Int", 0, 1),
		("Long Int", 2**62, 2**62 + 1),
		("Date", None, "2026-01-31"),
		("JSON", "[1, 2]", "[2, 1]"),
		("Datetime", "not a time", "another"),
	],
)
def test_other_values_have_another(kind, one, other):
	assert differences({"x": one}, {"x": other}, {"x": Field(kind)})


def test_no_password_is_shown():
	assert canonical("Password", "s3cret") == canonical("Password", "other") != "s3cret"
