"""Cells of an export calculate nothing."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.spreadsheets import as_text, csv_as_text


@pytest.mark.parametrize(
	"cell",
	[
		"=1+1",
		"+cmd|' /C calc'!A0",
		"-1+1",
		"@SUM(1)",
		"\t=1",
		"\r=1",
		"\n=1",
		" =1",
		"＝1+1",
		"＋x",
		"－x",
		"＠x",
		"\ufeff=1",
	],
)
def test_what_would_be_calculated_is_text(cell):
	assert as_text(cell) == f"'{cell}"


@pytest.mark.parametrize(
	"cell", ["", "a=b", "-5", "+4912345", "-1.5e3", "2026-01-01", "'=1", 5, None, "{}", "a\n=b"]
)
def test_what_is_not_stays(cell):
	assert as_text(cell) == cell


cells = st.text(st.sampled_from("=+-@\t\r\n,;\"'a1 ＝"), max_size=6)


@given(
	rows=st.lists(st.lists(cells, min_size=1, max_size=4), max_size=4),
	delimiter=st.sampled_from(",;\t|"),
	quoting=st.integers(0, 2),
)
def test_a_table_keeps_its_shape(rows, delimiter, quoting):
	file = io.StringIO()
	csv.writer(file, delimiter=delimiter, quoting=quoting).writerows(rows)
	read = [
		*csv.reader(io.StringIO(csv_as_text(file.getvalue(), delimiter), newline=""), delimiter=delimiter)
	]
	assert read == [
		[*map(as_text, row)]
		for row in csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=delimiter)
	]
