"""Attacks: «any headers and any body give a declared verdict» and «no way in without a signature», byte by byte.

Requests that no client library writes are sent to a receiver that runs: framing that servers read differently, targets
in other spellings, heads that are too large. What is answered comes from the endpoint or is the server's own 4xx, no
request within another one is served, and the next sender's is.
"""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import pytest

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.example import hub_toml
from integration_hub.sandbox.sender import SECRET
from tests.slow_senders import event, post, running

HOST, CLOSE = b"Host: x\r\n", b"Connection: close\r\n"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory) -> Iterator[tuple[str, StandaloneRuntime]]:
	folder = tmp_path_factory.mktemp("wire")
	with pytest.MonkeyPatch.context() as patch:
		patch.setenv("CRM_CLIENT_SECRET", CLIENT_SECRET)
		patch.setenv("CRM_WEBHOOK_SECRET", SECRET)
		(folder / "hub.toml").write_text(hub_toml("http://127.0.0.1:1"))
		with StandaloneRuntime(folder / "hub.toml") as runtime, running(folder / "hub.toml") as (url, _):
			yield url, runtime


def ask(url: str, data: bytes) -> list[bytes]:
	"""Send bytes; return the status lines of all that is answered until the connection is closed."""
	host, _, port = url.removeprefix("http://").partition(":")
	with socket.create_connection((host, int(port)), timeout=20) as sock:
		try:
			sock.sendall(data)
			answer = b"".join(iter(lambda: sock.recv(65536), b""))
		except ConnectionError:
			return []
	return [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def known(runtime: StandaloneRuntime, number: str) -> bool:
	sql = "SELECT 1 FROM `tabWebhook Log` WHERE `event_id` = %s"
	return bool(runtime.db.query(sql, [number]))


def head(
	number: str, *lines: bytes, target: bytes = b"/webhooks/crm", last: bool = True
) -> tuple[bytes, bytes]:
	"""Return the head of a signed request without its framing, and its body."""
	body, headers = event(number)
	signed = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
	given = b"".join(line + b"\r\n" for line in lines)
	return b"POST " + target + b" HTTP/1.1\r\n" + HOST + (CLOSE if last else b"") + signed + given, body


def sized(number: str, *lines: bytes, **more) -> bytes:
	first, body = head(number, *lines, **more)
	return first + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(number: str, before: bytes = b"", size: bytes = b"%x", end: bytes = b"0\r\n\r\n") -> bytes:
	first, body = head(number, b"Transfer-Encoding: chunked")
	return (
		first
		+ before
		+ b"\r\n"
		+ (size % len(body) if b"%" in size else size)
		+ b"\r\n"
		+ body
		+ b"\r\n"
		+ end
	)


FRAMES = {
	"two lengths": lambda n: sized(n, b"Content-Length: 5"),
	"lengths in a list": lambda n: head(n)[0] + b"Content-Length: 5, 5\r\n\r\n" + head(n)[1],
	"a length with a sign": lambda n: head(n)[0]
	+ b"Content-Length: +%d\r\n\r\n" % len(head(n)[1])
	+ head(n)[1],
	"a length below zero": lambda n: head(n)[0] + b"Content-Length: -1\r\n\r\n" + head(n)[1],
	"an endless length": lambda n: head(n)[0] + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + head(n)[1],
	"a length behind a blank": lambda n: head(n)[0] + b"Content-Length : 9\r\n\r\n" + head(n)[1],
	"another coding": lambda n: sized(n, b"Transfer-Encoding: xchunked"),
	"identity": lambda n: sized(n, b"Transfer-Encoding: identity"),
	"chunks of HTTP/1.0": lambda n: chunked(n).replace(b"HTTP/1.1", b"HTTP/1.0"),
	"an endless chunk": lambda n: chunked(n, size=b"f" * 18),
	"a chunk below zero": lambda n: chunked(n, size=b"-5"),
	"a chunk in C's writing": lambda n: chunked(n, size=b"0x%x"),
	"chunks without CR": lambda n: chunked(n).replace(b"\r\n0\r\n\r\n", b"\n0\n\n"),
	"an endless chunk extension": lambda n: chunked(n, size=b"%x;" + b"a" * 100_000),
	"endless trailers": lambda n: chunked(n, end=b"0\r\n" + b"X-A: b\r\n" * 30_000 + b"\r\n"),
	"a folded header": lambda n: sized(n, b"X-A: b\r\n c"),
	"CR within a header": lambda n: sized(n, b"X-A: b\rc"),
	"NUL within a header": lambda n: sized(n, b"X-A: b\0c"),
	"many headers": lambda n: sized(n, *(b"X-%d: b" % number for number in range(500))),
	"a large header": lambda n: sized(n, b"X-A: " + b"b" * 1_000_000),
	"bytes that are no target": lambda n: sized(n, target=b"/webhooks/cr\xff"),
	"no HTTP": lambda n: b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
}


@pytest.mark.parametrize("name", FRAMES)
def test_what_is_no_request_is_told_so_and_stored_nowhere(receiver, name):
	url, runtime = receiver
	found = ask(url, FRAMES[name](f"frame-{name}"))
	assert all(b" 4" in line[:11] for line in found) and len(found) <= 1, found
	assert not known(runtime, f"frame-{name}")


WRONG_HOSTS = [
	(),
	(b"Host:",),
	(b"Host: x", b"Host: x"),
	(b"Host: x", b"Host: y"),
	(b"Host: x, y",),
	(b"Host: x y",),
	(b"Host: x/y",),
	(b"Host: a@x",),
	(b"Host: http://x",),
	(b"Host: x:80:80",),
	(b"Host: [::1",),
	(b"Host: \xff",),
]


@pytest.mark.parametrize("target", [b"/webhooks/crm", b"/webhooks/nobody", b"/health", b"/x"])
@pytest.mark.parametrize("hosts", WRONG_HOSTS)
def test_a_request_without_its_one_host_is_refused(receiver, hosts, target):
	"""RFC 9112, 3.2: which host a request is for is what a server in front may have decided by."""
	url, runtime = receiver
	number = f"host-{hash((hosts, target))}"
	data = sized(number, target=target).replace(HOST, b"".join(host + b"\r\n" for host in hosts), 1)
	found = ask(url, data)
	assert len(found) == 1 and b" 400 " in found[0]
	assert not known(runtime, number)


@pytest.mark.parametrize(
	("version", "hosts"),
	[
		(b"1.1", b"Host: hub.example.com:8443\r\n"),
		(b"1.1", b"host: [::1]:80\r\n"),
		(b"1.1", b"Host: a_b.example\r\n"),
		(b"1.0", b""),
		(b"1.0", HOST),
	],
)
def test_a_request_with_its_one_host_is_taken(receiver, version, hosts):
	url, runtime = receiver
	number = f"host-{version}-{hosts}"
	data = sized(number).replace(HOST, hosts, 1).replace(b"HTTP/1.1", b"HTTP/" + version, 1)
	[line] = ask(url, data)
	assert b" 20" in line and known(runtime, number)


@pytest.mark.parametrize("name", ["length and chunks", "chunks and length", "a body's rest", "trailers"])
def test_no_request_within_another_one_is_served(receiver, name):
	"""Smuggled: a server in front and this one read different ends of the first body."""
	url, runtime = receiver
	inner, outer = f"inner-{name}", f"outer-{name}"
	first, body = head(outer, last=name == "a body's rest")
	chunks = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
	lengths = b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n"
	sent = {
		"length and chunks": first + b"".join(lengths) + b"\r\n" + chunks + sized(inner),
		"chunks and length": first + b"".join(lengths[::-1]) + b"\r\n" + chunks + sized(inner),
		"a body's rest": first
		+ b"Content-Length: %d\r\n\r\n" % (len(body) + len(sized(inner)))
		+ body
		+ sized(inner),
		"trailers": first + b"Transfer-Encoding: chunked\r\n\r\n" + chunks[:-2] + sized(inner) + b"\r\n",
	}[name]
	ask(url, sent)
	assert not known(runtime, inner)


TARGETS = {
	b"//webhooks/crm": 404,
	b"/health/../webhooks/crm": 404,
	b"/webhooks/../webhooks/crm": 404,
	b"/webhooks/crm%00": 404,
	b"/webhooks/crm%ff%fe": 404,
	b"/webhooks/CRM": 404,
	b"/webhooks/crm%20": 404,
	b"/webhooks/%2e%2e/crm": 404,
	b"/webhooks/" + b"a" * 60_000: 404,
	b"/webhooks/": 404,
	b"*": 404,
	b"http://elsewhere/webhooks/crm": 202,
	b"/webhooks/cr%6d": 202,
	b"/webhooks/crm?" + b"a=b&" * 5000: 202,
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:30].decode())
def test_a_target_names_one_endpoint_or_none(receiver, target):
	url, runtime = receiver
	number = f"target-{target[:40]!r}"
	[found] = ask(url, sized(number, target=target))
	assert int(found.split()[1]) == TARGETS[target]
	assert known(runtime, number) == (TARGETS[target] == 202)


@pytest.mark.parametrize("method", ["post", "GET", "PUT", "TRACE", "CONNECT", "P0ST", "A" * 5000])
def test_only_a_post_brings_an_event(receiver, method):
	url, runtime = receiver
	[found] = ask(url, sized(f"method-{method}").replace(b"POST", method.encode(), 1))
	assert int(found.split()[1]) == 405 and not known(runtime, f"method-{method}")


@pytest.mark.parametrize(
	"lines",
	[
		[b"X-Webhook-Signature: zz"],  # beside the one that is good
		[b"X-Webhook-Signature: "],
		[b"Content-Encoding: gzip"],
		[b"Content-Type: application/xml"],
		[b"Content-Encoding: nonsense"],
	],
	ids=repr,
)
def test_headers_that_say_another_thing_than_the_body_are_refused(receiver, lines):
	url, runtime = receiver
	number = f"odd-{lines}"
	[found] = ask(url, sized(number, *lines))
	stored = known(runtime, number)
	assert (found.split()[1] in (b"400", b"401", b"415") and not stored) or (
		lines[0].endswith(b": ") and stored
	)


def test_nothing_without_the_secret_is_let_in_and_nobody_is_kept_waiting(receiver):
	url, runtime = receiver
	body = b'{"id": "unsigned", "event": "call.x"}'
	for signature in (b"", b"sha256=", b"0" * 64, b"\xff\xfe", b"a" * 60_000, b"null", b"[]", b"%00"):
		for packed in (body, gzip.compress(body)):
			given = b"POST /webhooks/crm HTTP/1.1\r\n" + HOST + CLOSE + b"X-Webhook-Signature: " + signature
			given += b"\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
			[found] = ask(url, given)
			assert found.split()[1] == b"401"
	assert not known(runtime, "unsigned")
	assert post(url, "the next one").status_code in (200, 202)
