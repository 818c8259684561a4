"""A stream under another name: nothing is doubled, and nothing forgotten unsaid."""

from __future__ import annotations

import pytest

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.stores.runtime import HubError
from integration_hub.sync.run import run_stream
from tests.list_server import ids, stream_of, things

RENAME = ("[stream.things]", "[stream.items]"), ("[stream.things.mapping]", "[stream.items.mapping]")


@pytest.fixture
def renamed(tmp_path):
	"""Give a function that opens the runtime of a loaded stream with its hub.toml changed."""
	listed = {"data": things(8)}
	with stream_of(tmp_path, lambda path, query: listed, 'records_path = "data"') as (_, runtime):
		run_stream(runtime, "things")
		path, runtimes = tmp_path / "hub.toml", []

		def reopen(*pairs: tuple[str, str]) -> StandaloneRuntime:
			text = path.read_text()
			for old, new in pairs:
				assert old in text
				text = text.replace(old, new)
			path.write_text(text)
			runtimes.append(StandaloneRuntime(path))
			return runtimes[-1]

		reopen.listed = listed
		yield reopen
		for one in runtimes:
			one.close()


def test_a_stream_that_was_renamed_is_refused_with_two_ways_out(renamed):
	with pytest.raises(HubError, match="second time") as caught:
		renamed(*RENAME)
	assert 'renamed_from = "things"' in str(caught.value) and 'forget_streams = ["things"]' in str(
		caught.value
	)


def test_what_was_bound_goes_with_the_name(renamed):
	runtime = renamed(*RENAME, ("[stream.items]", '[stream.items]\nrenamed_from = "things"'))
	assert run_stream(runtime, "items")["unchanged"] == 8
	renamed.listed["data"] = things(7)
	assert run_stream(runtime, "items")["deleted"] == 1
	assert ids(runtime) == list(range(1, 8))
	assert runtime.db.query("SELECT `name` FROM `tabSync Settings`") == [{"name": "items"}]
	runs = runtime.db.query("SELECT DISTINCT `stream` FROM `tabSync Log`")
	assert runs == [{"stream": "items"}], "its history is its own"
	runtime = renamed(('mode = "Full"', 'mode = "Full"\npage_size = 50'))
	assert run_stream(runtime, "items")["unchanged"] == 7, "the key may stay in the file"


def test_what_is_forgotten_is_no_streams_any_more(renamed):
	runtime = renamed(*RENAME, ("[hub]", '[hub]\nforget_streams = ["things"]'))
	assert runtime.db.query("SELECT COUNT(*) AS `n` FROM `tabExternal Record`") == [{"n": 0}]
	assert run_stream(runtime, "items")["created"] == 8
	assert len(ids(runtime)) == 16, "as the person said"


def test_a_stream_that_only_vanished_rests_and_comes_back(renamed):
	runtime = renamed(
		*RENAME,
		('target_doctype = "Thing"', 'target_doctype = "Other"'),
		("[table.Thing]", '[table.Other]\nthing = "Data"\n\n[table.Thing]'),
	)
	run_stream(runtime, "items")
	assert len(ids(runtime)) == 8


@pytest.mark.parametrize(
	("pairs", "words"),
	[
		(
			[("[stream.things]", '[stream.things]\nrenamed_from = "things"')],
			"the name that the stream had before",
		),
		([("[stream.things]", "[stream.things]\nrenamed_from = 5")], "the name that the stream had before"),
		([("[hub]", '[hub]\nforget_streams = ["things"]')], "is in the file"),
		([("[hub]", '[hub]\nforget_streams = "things"')], "list of names"),
		([*RENAME, ("[stream.items]", '[stream.items]\nrenamed_from = "thinks"')], "second time"),
	],
)
def test_what_cannot_be_is_refused(renamed, pairs, words):
	with pytest.raises(HubError, match=words):
		renamed(*pairs)
