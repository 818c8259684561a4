"""What Frappe throws is HTML; what is recorded of it is text."""

import time

import pytest

from integration_hub.connectors.app_code import error_text
from integration_hub.connectors.markup import is_markup, plain_text


@pytest.mark.parametrize(
	("message", "text"),
	[
		("<strong>Note</strong>: no", "Note: no"),
		(
			"Could not find <b>Row #1</b>: Item: <a href='/app/item/x>y'>x&gt;y</a>",
			"Could not find Row #1: Item: x>y",
		),
		("One<br>Two<br/>Three<BR />", "One Two Three"),
		("<p>One</p><p>Two</p>", "One Two"),
		("Missing:<ul><li>Title</li><li>Date</li></ul>", "Missing: - Title - Date"),
		("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
		("a &lt; b &amp;&amp; c&nbsp;&gt; d", "a < b && c > d"),
		("&lt;strong&gt; is a tag", "<strong> is a tag"),
		("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
		("a < b and c > d", "a < b and c > d"),
		("from <someone@example.com>", "from <someone@example.com>"),
		("expected <EOF>, not <class 'int'>", "expected <EOF>, not <class 'int'>"),
		("<script>alert('<b>1</b>')</script>x", "x"),
		("<style>b { color: red }</style>x", "x"),
		("<!-- a > b <b> -->x", "x"),
		("<img src=x onerror=alert(1)>x", "x"),
		('<a title="<b>">x</a>', "x"),
		("<b", "<b"),
		("<b class='x", "<b class='x"),
		("</strong></strong>x<strong>", "x"),
		("<sTrOnG CLASS=a>x</StRoNg >", "x"),
		("<b>\u00e4</b>\u202f\u00a0<i>\U0001f600</i>", "\u00e4 \U0001f600"),
		("<body-part> <basic>", "<body-part> <basic>"),
		("", ""),
	],
)
def test_markup_becomes_text(message, text):
	assert plain_text(message) == text


@pytest.mark.parametrize(
	"bomb",
	[
		"<b " * 100_000,
		"<a '" * 100_000,
		"<!--" * 100_000,
		"<script>" * 50_000,
		"&" * 400_000,
		"<b x=" + '"' * 99_999,
	],
)
def test_no_message_takes_long(bomb):
	started = time.monotonic()
	plain_text(bomb)
	assert time.monotonic() - started < 20, "a bound for what does not end"


def test_other_errors_are_no_markup():
	error = ValueError("'<b>x</b>' is no number")
	assert error_text(error) == "'<b>x</b>' is no number" and not is_markup(error)
	assert error_text("<b>text</b>") == "<b>text</b>"
