"""Link headers as RFC 8288 has them, and as servers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.link_header import links, next_link
from integration_hub.sync.run import run_stream
from tests.list_server import ids, stream_of, things

URL = "http://crm.example/t?page=1"
NEXT = "/t?page=2"


@pytest.mark.parametrize(
	"header",
	[
		'<{}>; rel="next"',
		"<{}>; rel=next",
		"<{}>; rel='next'",
		"<{}>;rel=next",
		'<{}> ; rel = "next"',
		'<{}>; rel="next last"',
		'<{}>; rel="last\tnext"',
		"<{}>; rel=NEXT",
		'<{}>; Rel="Next"',
		'<{}>; REL="next"; title="a=b"',
		'<{}>; title="a=b"; rel="next"',
		'<{}>; title="a;b, c"; rel="next"',
		'<{}>; title="a\\"; rel=\\"prev"; rel="next"',
		"<{}>; title*=UTF-8''a%20b; rel=next",
		"<{}>; crossorigin; rel=next",
		"<{}>;; rel=next;",
		'</t?page=0>; rel="prev", <{}>; rel="next"',
		'</t?page=0>; rel="prev",<{}>; rel="next",</t?page=9>; rel="last"',
		', ,<{}>; rel="next",',
		'<http://a.example/x>; rel="next"; anchor="http://other.example/", <{}>; rel="next"',
		'<{}>; rel="next"; anchor=""',
		'<{}>; rel="next"; anchor="#here"',
		'<{}>; rel="next"; anchor="/t?page=1"',
		'<{}>; rel="next"; rel="prev"',
		'</x>; rel="http://rel.example/next", <{}>; rel="next"',
	],
)
@pytest.mark.parametrize(
	"target", [NEXT, "/t;v=2?page=2", "/t?ids=1,2,3", "?a=b;c", "/t?q=%22%3E", "http://h/t?x=(1)"]
)
def test_the_next_link_is_read(header, target):
	assert next_link(header.format(target), URL) == target


@pytest.mark.parametrize(
	"header",
	[
		"",
		" , ",
		'</t>; rel="prev"',
		'</t>; rel="nextish"',
		'</t>; rel="prev"; rel="next"',
		'</t>; title="rel=next"',
		'</t>; rev="next"',
		'</t>; rel="next"; anchor="/other"',
		'</t?a=<rel=next>; rel="prev"',
		"</t>",
	],
)
def test_what_is_no_next_link_is_none(header):
	assert next_link(header, URL) is None


@pytest.mark.parametrize(
	"header", ["next", 't; rel="next"', '</t; rel="next"', '</t>; rel="next', '</t> rel="next"']
)
def test_what_cannot_be_read_is_said_so(header):
	with pytest.raises(ValueError, match="Link header"):
		next_link(header, URL)


@given(st.text(max_size=200) | st.text("<>;,= \"\\relnxt'", max_size=200))
def test_any_header_is_links_or_a_value_error(header):
	try:
		assert all(link.target is not None for link in links(header))
	except ValueError:
		return


@given(
	st.lists(st.tuples(st.text("abc/?=&;,'()", min_size=1), st.text('ab;,=<>"\\ ')), min_size=1, max_size=4)
)
def test_what_is_written_by_the_rules_is_read_as_it_was_meant(written):
	def quoted(text: str) -> str:
		return text.replace("\\", "\\\\").replace('"', '\\"')

	header = ", ".join(f'<{target}>; title="{quoted(title)}"; rel="next"' for target, title in written)
	assert [link.target for link in links(header)] == [target for target, _ in written]


@pytest.mark.parametrize(
	"headers",
	[
		[("Link", '</things?page=0>; rel="prev"'), ("Link", '<{}>; rel="next"')],
		[("link", '<{}>; rel="next last"; title="a=b"')],
		[("LINK", "<{}>; Rel=NEXT")],
	],
)
def test_a_list_is_walked_to_its_end_however_the_link_is_written(tmp_path, headers):
	def answer(path, query):
		start = int(query.get("ids", "1,0").split(",")[0])
		sent = (
			[(name, text.format(f"/things;v=2?ids={start + 2},0")) for name, text in headers]
			if start < 7
			else []
		)
		return 200, sent, things(2, start)

	with stream_of(tmp_path, answer, 'pagination = "Link Header"\npage_size = 2\npage_size_param = ""') as (
		_,
		runtime,
	):
		row = run_stream(runtime, "things")
		assert ids(runtime) == list(range(1, 9)) and row["error"] is None
