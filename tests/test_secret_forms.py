"""A secret is found however it is written: each way, and each within another, wherever it stands in Base64."""

from __future__ import annotations

import base64
import html
import json
import quopri
import random
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration_hub.connectors.redact import MASK, Redactor


def _json(text: str, rng: random.Random) -> str:
	return json.dumps(text, ensure_ascii=rng.random() < 0.5)[1:-1]


def _slashed(text: str, rng: random.Random) -> str:
	"""JSON as PHP writes it."""
	return _json(text, rng).replace("/", "\\/")


def _units(text: str) -> list[str]:
	raw = text.encode("utf-16-be", "surrogatepass")
	return [f"\\u{raw[n]:02x}{raw[n + 1]:02x}" for n in range(0, len(raw), 2)]


def _unicode(text: str, rng: random.Random) -> str:
	r"""JSON in which any character is \uXXXX, in either case of letters."""

	def one(character: str) -> str:
		if rng.random() < 0.5 and character not in '"\\' and character >= " ":
			return character
		written = "".join(_units(character))
		return written if rng.random() < 0.5 else "\\u".join(map(str.upper, written.split("\\u")))

	return "".join(map(one, text))


def _url(text: str, rng: random.Random) -> str:
	written = (quote if rng.random() < 0.5 else quote_plus)(text, safe="" if rng.random() < 0.5 else "/:@")
	return written.replace("%2F", "%2f").replace("%3D", "%3d") if rng.random() < 0.5 else written


def _all_url(text: str, rng: random.Random) -> str:
	"""More is quoted than needs to be."""
	return "".join(
		"".join(f"%{byte:02x}" if rng.random() < 0.5 else f"%{byte:02X}" for byte in character.encode())
		if rng.random() < 0.5 or not character.isalnum() or not character.isascii()
		else character
		for character in text
	)


def _html(text: str, rng: random.Random) -> str:
	return html.escape(text)


def _entities(text: str, rng: random.Random) -> str:
	forms = (
		lambda c: f"&#{ord(c)};",
		lambda c: f"&#x{ord(c):x};",
		lambda c: f"&#X{ord(c):04X};",
		html.escape,
	)
	return "".join(rng.choice(forms)(character) for character in text)


def _base64(text: str, rng: random.Random) -> str:
	"""Alone or within more, of either alphabet, padded or not, in one line or several."""
	raw = bytes(rng.randrange(128, 256) for _ in range(rng.randrange(4))) * rng.randrange(2) + text.encode()
	raw += b"x" * rng.randrange(4)
	if rng.random() < 0.2:
		return base64.encodebytes(raw).decode()
	written = (base64.b64encode if rng.random() < 0.5 else base64.urlsafe_b64encode)(raw).decode()
	return written.rstrip("=") if rng.random() < 0.5 else written


def _printable(text: str, rng: random.Random) -> str:
	return quopri.encodestring(text.encode(), quotetabs=rng.random() < 0.5).decode("ascii")


def _repr(text: str, rng: random.Random) -> str:
	return repr(text)[1:-1] if rng.random() < 0.5 else repr(text.encode())[2:-1]


WAYS = (_json, _slashed, _unicode, _url, _all_url, _html, _entities, _base64, _printable, _repr)
secrets = (
	st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=60)
	| st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), min_size=4, max_size=30)
	| st.sampled_from(
		["41/ab", "a%41/b", "=41=3Dx", "a b+c/d", "&lt;x&gt;", "\\u0041x\\", "pä/ss wörd", "😀\"'<&>/+="]
	)
).filter(lambda text: len(text.strip()) >= 4)
seeds = st.integers(0, 2**32)


def shown(written: str, secret: str) -> str:
	return Redactor([secret]).text(f"it said: {written} and no more")


@pytest.mark.parametrize("outer", [None, *WAYS])
@pytest.mark.parametrize("inner", WAYS)
@given(secret=secrets, seed=seeds)
def test_it_is_found_however_it_is_written(inner, outer, secret, seed):
	rng = random.Random(seed)
	written = inner(secret.strip(), rng)
	written = outer(written, rng) if outer else written
	masked = shown(written, secret)
	assert masked.startswith("it said:") and masked.endswith("and no more")
	assert MASK in masked, written
	assert written not in masked.replace(MASK, "")


def basic(user: str, secret: str) -> str:
	return base64.b64encode(f"{user}:{secret}".encode()).decode()


WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RAW = base64.b64decode(WHSEC[6:])


@pytest.mark.parametrize(
	("secret", "written", "hidden"),
	[
		("a/b+c=d/e", r"a\/b+c=d\/e", "b+c"),
		("a/b+c=d/e", "a%2fb%2bc%3dd%2fe", "b%2bc"),
		("a<b&c>d", r"a\u003cb\u0026c\u003ed", "0026"),
		("a<b&c>d", "a&lt;b&amp;c&#62;d", "amp"),
		("3f2a9c81d0:77ab0e12cc", "token 3f2a9c81d0 and 77ab0e12cc", "3f2a9c81d0"),
		("3f2a9c81d0:77ab0e12cc", "it was 77ab0e12cc", "77ab0e12cc"),
		("token 3f2a9c81d0:77ab0e12cc", "it was 77ab0e12cc", "77ab0e12cc"),
		("p/ss wörd", f"Basic {basic(quote_plus('my id'), quote_plus('p/ss wörd'))}", "bXkraWQ6"),
		("p/ss wörd", f"Basic {basic('ada', 'p/ss wörd').rstrip('=')}", "YWRh"),
		("p/ss wörd", base64.b64encode("p/ss wörd".encode("latin-1")).decode(), "cC9zcyB3"),
		("päss", "p%E4ss", "p%E4ss"),
		("key?>~~~~?", base64.urlsafe_b64encode(b"key?>~~~~?").decode().rstrip("="), "a2V5Pz5"),
		(WHSEC, WHSEC[6:], "MfKQ9r8"),
		(WHSEC, repr(RAW), r"\xf2\x90"),
		(WHSEC, RAW.hex(), RAW.hex()),
		(WHSEC, f"key={RAW.hex().upper()}", RAW.hex().upper()),
		("redis://:p%40ssword@host:6379/0", "AUTH p@ssword failed", "p@ssword"),
		("redis://ada:hunter22@host", "AUTH ada hunter22", "hunter22"),
		("Basic " + basic("ada", "hunter22"), "hunter22", "hunter22"),
		(
			"-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC7\n",
			"line 3: hkiG9w0BAQEFAASC7",
			"hkiG9w0",
		),
	],
)
def test_what_was_missed_before_is_masked(secret, written, hidden):
	assert hidden in written
	assert hidden not in shown(written, secret)


@pytest.mark.parametrize("secret", ["hunter22", "a much longer secret / than the other", "x" * 500])
def test_the_mask_does_not_show_how_long_a_secret_is(secret):
	rng = random.Random(1)
	for way in WAYS:
		assert shown(way(secret, rng), secret).split() == f"it said: {MASK} and no more".split()


def test_ordinary_text_stays_what_it_is():
	text = 'GET https://crm.example/v1/a%20b?x=41&y=%2F "a\\/b" &amp; =3D \\u0026 \\xe9 dGhpcyBpcyBub3QgYSBzZWNyZXQ= and more'
	assert Redactor(["hunter22", WHSEC, "a:bcdefg"]).text(text) == text


def test_what_stands_around_a_secret_is_kept():
	redactor = Redactor(["hun/ter22"])
	assert redactor.text(r'{"a": "b\/c hun\/ter22, d\/e"}') == r'{"a": "b\/c [redacted], d\/e"}'
	assert redactor.text("x%2Fhun%2fter22%2Fy and hun/ter22") == "x%2F[redacted]%2Fy and [redacted]"


NASTY = (
	"%25",
	"%",
	"=\n",
	"=3D",
	"&amp;",
	"\\u005c",
	"\\\\",
	"aGVsbG8",
	"aGVsbG8 ",
	"A" * 60 + "\n",
	"aGVs%bG8\\n&lt;=3D",
)


@pytest.mark.parametrize("piece", NASTY)
def test_a_long_text_of_escapes_is_masked_in_a_time_that_grows_with_its_length_alone(piece):
	"""A third of a megabyte in some seconds at most: squared, it would take hours."""
	redactor = Redactor(["hunter22"])
	assert redactor.text(piece * (300_000 // len(piece)))
	assert MASK in redactor.text(piece * (300_000 // len(piece)) + " hunter22")


def test_a_cut_leaves_no_half_of_a_secret_that_is_written_long():
	secret = "kéy-with-ümlauts"
	written = "".join(f"%{byte:02X}" for byte in "".join(_units(secret)).encode())
	for limit in range(1, len(written) + 20):
		kept = Redactor([secret]).text("x" * 5 + written + "y" * 30_000, limit)
		assert written[:30] not in kept and len(kept) <= limit + 1
