"""Bodies that are small on the wire, or short, and cost much: deep, endless in digits, packed."""

from __future__ import annotations

import gzip
import zlib

BODIES = (
	b"[" * 20_000,
	b'{"a":' * 20_000,
	b'{"data": ' + b"[" * 20_000 + b"]" * 100_000 + b"}",
	b'{"data": [{"id": ' + b"9" * 5000 + b"}]}",  # Python reads no more than 4300 digits
	b'{"data": [{"id": 1e' + b"9" * 400 + b"}]}",
	b'{"access_token": "x", "expires_in": ' + b"9" * 5000 + b"}",
	b'{"data": [{"id": "\\ud800"}]}',  # half a character
	b'{"access_token": "\\ud800"}',
	b"\xef\xbb\xbf{}",
)


def _packed(level: int = 1) -> bytes:
	"""Return 300 MB of blanks, in gzip: once, or once more."""
	packer = zlib.compressobj(9, zlib.DEFLATED, 31)
	body = b"".join(packer.compress(b" " * 1024 * 1024) for _ in range(300)) + packer.flush()
	return gzip.compress(body) if level > 1 else body


BOMBS = {
	"gzip": ({"Content-Encoding": "gzip"}, _packed()),
	"gzip twice": ({"Content-Encoding": "gzip, gzip"}, _packed(2)),
}
