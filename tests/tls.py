"""TLS in front of a server that has none."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
	"""Write a certificate of a host and its key; return where they are."""
	key = ec.generate_private_key(ec.SECP256R1())
	name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
	now = datetime.now(timezone.utc)
	certificate = (
		x509.CertificateBuilder()
		.subject_name(name)
		.issuer_name(name)
		.public_key(key.public_key())
		.serial_number(x509.random_serial_number())
		.not_valid_before(now - timedelta(hours=1))
		.not_valid_after(now + timedelta(days=1))
		.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
		.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
		.sign(key, hashes.SHA256())
	)
	places = folder / "cert.pem", folder / "key.pem"
	places[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
	places[1].write_bytes(
		key.private_bytes(
			serialization.Encoding.PEM,
			serialization.PrivateFormat.PKCS8,
			serialization.NoEncryption(),
		)
	)
	return places


@contextmanager
def tls_in_front_of(url: str, certificate: Path, key: Path) -> Iterator[int]:
	"""Give a port where the server at `url` speaks TLS."""
	context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	context.load_cert_chain(certificate, key)
	parts = urlsplit(url)
	listener = socket.create_server(("127.0.0.1", 0))

	def serve() -> None:
		while True:
			try:
				plain, _ = listener.accept()
			except OSError:
				return  # closed
			with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as client:
				with socket.create_connection((parts.hostname, parts.port)) as server:
					while request := client.recv(65536):  # each of them has one answer
						server.sendall(request)
						client.sendall(server.recv(65536))

	threading.Thread(target=serve, daemon=True).start()
	try:
		yield listener.getsockname()[1]
	finally:
		listener.close()
