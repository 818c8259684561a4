"""Times of the source without a zone, its precision, and bounds that leave out what is exactly at them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.placeholders import Template
from integration_hub.connectors.time_bounds import PRECISIONS
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import run_stream
from integration_hub.sync.times import utc_reader
from tests.list_server import ids, stream_of

UTC = timezone.utc
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC")
FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H", "date", "%Y-%m-%dT%H:%M:%S.%f")


def bound(name: str, at: str, **how) -> object:
	return ListRequest("/x", **{name: at}, **how).bound(name)


@pytest.mark.parametrize(
	("value", "format", "zone", "utc"),
	[
		("2026-01-05 12:00:00", "", "Europe/Berlin", "2026-01-05T11:00:00.000000Z"),
		("2026-07-05 12:00:00", "", "Europe/Berlin", "2026-07-05T10:00:00.000000Z"),
		("2026-07-05T12:00:00+05:00", "", "Europe/Berlin", "2026-07-05T07:00:00.000000Z"),
		("2026-07-05T12:00:00Z", "", "Europe/Berlin", "2026-07-05T12:00:00.000000Z"),
		("2026-10-25 02:30:00", "", "Europe/Berlin", "2026-10-25T00:30:00.000000Z"),
		("2026-03-29 02:30:00", "", "Europe/Berlin", "2026-03-29T00:30:00.000000Z"),
		("05.07.2026 12:00", "%d.%m.%Y %H:%M", "Europe/Berlin", "2026-07-05T10:00:00.000000Z"),
		("05.07.2026 12:00", "%d.%m.%Y %H:%M", "", "2026-07-05T12:00:00.000000Z"),
		("05.07.2026 12:00 +0300", "%d.%m.%Y %H:%M %z", "Europe/Berlin", "2026-07-05T09:00:00.000000Z"),
		(1767225600, "s", "Europe/Berlin", "2026-01-01T00:00:00.000000Z"),
		("1767225600123", "ms", "", "2026-01-01T00:00:00.123000Z"),
		("Sat, 31 Jan 2026 13:45:00 +0100", "RFC 2822", "", "2026-01-31T12:45:00.000000Z"),
		("2026-01-05", "%Y-%m-%d", "America/New_York", "2026-01-05T05:00:00.000000Z"),
		("2026-01-05 12:00", "%Y-%m-%d %H:%M | Asia/Kolkata", "Europe/Berlin", "2026-01-05T06:30:00.000000Z"),
	],
)
def test_a_source_time_is_read_by_its_format_and_zone(value, format, zone, utc):
	assert utc_reader(format, zone)(value) == utc


@pytest.mark.parametrize("value", ["0001-01-01 00:00:01", "9999-12-31 23:59:59", "x", None, True, []])
def test_what_is_no_time_in_a_zone_is_refused_or_read(value):
	for zone in ("Asia/Kolkata", "America/New_York"):
		try:
			assert utc_reader("", zone)(value).endswith("Z")
		except ValueError:
			continue


@pytest.mark.parametrize(
	("name", "template", "how", "text"),
	[
		("since", "{since}", {}, "2026-05-01T10:11:12.345678Z"),
		("since", "{since}", {"time_precision": "Millisecond"}, "2026-05-01T10:11:12.345Z"),
		("since", "{since}", {"time_precision": "Second"}, "2026-05-01T10:11:12Z"),
		("since", "{since}", {"time_precision": "Minute"}, "2026-05-01T10:11:00Z"),
		("since", "{since}", {"time_precision": "Day"}, "2026-05-01"),
		("since", "{since:epoch}", {"time_precision": "Minute"}, "1777630260"),
		("since", "{since}", {"since_exclusive": True}, "2026-05-01T10:11:12.345677Z"),
		("since", "{since:epoch}", {"since_exclusive": True}, "1777630271"),
		("since", "{since:epoch_ms}", {"since_exclusive": True}, "1777630272344"),
		("since", "{since}", {"since_exclusive": True, "time_precision": "Second"}, "2026-05-01T10:11:11Z"),
		("since", "{since:date}", {"since_exclusive": True}, "2026-04-30"),
		("since", "{since:iso}", {"since_exclusive": True, "time_precision": "Day"}, "2026-04-30T00:00:00Z"),
		("since", "{since:%Y-%m-%d %H:%M}", {"time_zone": "Europe/Berlin"}, "2026-05-01 12:11"),
		(
			"since",
			"{since:%Y-%m-%d %H:%M@UTC}",
			{"time_zone": "Europe/Berlin"},
			"2026-05-01 10:11",
		),
		("since", "{since:iso}", {"time_zone": "Europe/Berlin"}, "2026-05-01T10:11:12Z"),
		("until", "{until}", {}, "2026-05-01T10:11:12.345678Z"),
		("until", "{until:date}", {}, "2026-05-01"),
		("until", "{until}", {"time_precision": "Second"}, "2026-05-01T10:11:13Z"),
		("until", "{until:date}", {"time_precision": "Day"}, "2026-05-02"),
		("until", "{until:date}", {"until_exclusive": True}, "2026-05-03"),
		("until", "{until}", {"until_exclusive": True, "time_precision": "Second"}, "2026-05-01T10:11:14Z"),
		("until", "{until}", {"since_exclusive": True}, "2026-05-01T10:11:12.345678Z"),
	],
)
def test_a_bound_has_the_precision_of_the_source(name, template, how, text):
	at = bound(name, "2026-05-01T10:11:12.345678Z", **how)
	assert Template.read(template).text({name: at}) == text


@pytest.mark.parametrize(
	("at", "text"),
	[
		("2026-10-24T23:59:00Z", "2026-10-25 01:59"),
		("2026-10-25T00:00:00Z", "2026-10-25 02:00"),
		("2026-10-25T00:30:00Z", "2026-10-25 02:00"),  # at 03:00 the clock is set back to 02:00
		("2026-10-25T01:10:00Z", "2026-10-25 02:10"),
		("2026-10-25T02:00:00Z", "2026-10-25 03:00"),
	],
)
def test_a_beginning_in_the_hour_that_comes_twice_is_the_beginning_of_that_hour(at, text):
	since = bound("since", at, time_zone="Europe/Berlin")
	assert Template.read("{since:%Y-%m-%d %H:%M}").text({"since": since}) == text


def _times() -> st.SearchStrategy[datetime]:
	near = [datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)]
	near += [datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)]
	around = st.builds(
		lambda at, by: at + timedelta(microseconds=by),
		st.sampled_from(near),
		st.integers(-9_000_000_000, 9_000_000_000),
	)
	return around | st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(
	_times(),
	st.timedeltas(timedelta(), timedelta(hours=5)),
	st.sampled_from(ZONES),
	st.sampled_from(FORMATS),
	st.sampled_from(list(PRECISIONS)),
	st.booleans(),
)
def test_no_later_change_is_before_a_beginning_and_no_earlier_one_behind_an_end(
	moment, by, zone, format, precision, exclusive
):
	written = "%Y-%m-%d" if format == "date" else format
	how = {"time_zone": zone, "time_precision": precision}
	text = moment.isoformat().replace("+00:00", "Z")
	since = Template.read(f"{{since:{format}}}").text(
		{"since": bound("since", text, since_exclusive=exclusive, **how)}
	)
	# The record as the source keeps it, no finer than the bound is written: a local time without a zone.
	record = (moment + by).astimezone(ZoneInfo(zone)).strftime(written)
	assert since < record if exclusive else since <= record
	if precision or exclusive:
		until = Template.read(f"{{until:{format}}}").text(
			{"until": bound("until", text, until_exclusive=exclusive, **how)}
		)
		record = (moment - by).astimezone(ZoneInfo(zone)).strftime(written)
		assert record < until if exclusive else record <= until


LOCAL = """
updated_at_path = "at"
time_zone = "Europe/Berlin"
overlap_seconds = 0
"""


def test_what_changes_in_the_hour_that_comes_twice_is_not_skipped(tmp_path):
	rows = [{"id": 1, "at": "2026-10-25 02:50:00"}]

	def answer(path, query):
		return [row for row in rows if row["at"] >= query.get("from", "")]

	text = LOCAL + 'params = "from={since:%Y-%m-%d %H:%M:%S}"'
	with stream_of(tmp_path, answer, text, "Incremental") as (source, runtime):
		run_stream(runtime, "things")
		rows.append({"id": 2, "at": "2026-10-25 02:10:00"})  # 20 minutes later, by the clock 40 earlier
		run_stream(runtime, "things")
		assert ids(runtime) == [1, 2]
		assert source.asked[-1] == {"from": "2026-10-25 02:00:00"}


@pytest.mark.parametrize("precise", ["Second", "Minute", "Day"])
def test_an_exclusive_source_of_coarse_times_misses_nothing(tmp_path, precise):
	size = {"Second": 19, "Minute": 16, "Day": 10}[precise]
	rows = [{"id": 1, "at": "2026-05-01T10:00:30"}]

	def answer(path, query):
		since = query.get("modified_since", "")[:size]
		return [row for row in rows if not since or row["at"][:size] > since]

	text = (
		f'updated_at_path = "at"\noverlap_seconds = 0\ntime_precision = "{precise}"\nsince_exclusive = true\n'
	)
	with stream_of(tmp_path, answer, text, "Incremental") as (_source, runtime):
		run_stream(runtime, "things")
		rows.append({"id": 2, "at": "2026-05-01T10:00:30"})
		run_stream(runtime, "things")
		assert ids(runtime) == [1, 2]


def test_a_backfill_asks_by_a_placeholder_alone(tmp_path):
	from integration_hub.sync.modes import Period

	def answer(path, query):
		return [{"id": 1, "at": "20.05.2026 12:00"}, {"id": 2, "at": "21.05.2026 12:00"}]

	text = 'updated_at_path = "at"\nupdated_at_format = "%d.%m.%Y %H:%M"\nchanged_since_param = ""\n'
	text += 'params = "from={since:date}"\n'
	with stream_of(tmp_path, answer, text) as (source, runtime):
		run_stream(runtime, "things", period=Period.read("2026-05-21", "2026-05-22"))
		assert ids(runtime) == [2]
		assert source.asked == [{"from": "2026-05-21"}]


@pytest.mark.parametrize(
	("text", "field"),
	[
		('time_zone = "Europe/Nowhere"', "time_zone"),
		('updated_at_format = "%q"', "updated_at_format"),
		('updated_at_format = "%H:%M"', "updated_at_format"),
		('time_precision = "Hour"', "time_precision"),
	],
)
def test_wrong_settings_of_times_are_refused_by_field(tmp_path, text, field):
	with pytest.raises(HubError) as refused, stream_of(tmp_path, lambda path, query: [], text):
		raise AssertionError("it was taken")
	assert refused.value.field == field
