"""A server that wants credentials of every kind: Authlib's OAuth2 provider, logins, JWT, AWS signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion, JWTBearerGrant
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask, jsonify, make_response, request
from werkzeug.serving import make_server

CLIENT_SECRET = "a:client/secret+of=the-hub"
PASSWORD = "p4ssw0rd & more"
AWS = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def pem_of(key: Any, passphrase: str = "") -> str:
	encryption = (
		serialization.BestAvailableEncryption(passphrase.encode())
		if passphrase
		else serialization.NoEncryption()
	)
	return key.private_bytes(
		serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
	).decode()


RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_PEM, EC_PEM = pem_of(RSA_KEY), pem_of(EC_KEY)


def public(key: Any, kind: str) -> Any:
	pem = key.public_key().public_bytes(
		serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
	)
	return JsonWebKey.import_key(pem.decode(), {"kty": kind})


_METHODS = ["client_secret_basic", "client_secret_post", "client_assertion_jwt"]


@dataclass
class Client(ClientMixin):
	client_id: str
	methods: list[str]

	def get_client_id(self):
		return self.client_id

	def get_allowed_scope(self, scope):
		return scope or ""

	def check_client_secret(self, client_secret):
		return secrets.compare_digest(CLIENT_SECRET, client_secret)

	def check_endpoint_auth_method(self, method, endpoint):
		return method in self.methods

	def check_grant_type(self, grant_type):
		return True


@dataclass
class Server:
	url: str = ""
	forms: list[dict] = field(default_factory=list)  # of token requests
	seen: list[Any] = field(default_factory=list)  # headers and query of requests to /seen
	logins: list[Any] = field(default_factory=list)
	sessions: set[str] = field(default_factory=set)
	tokens: set[str] = field(default_factory=set)
	more: dict = field(default_factory=dict)  # of the next answer of /token/plain and of /login
	methods: list[str] = field(default_factory=list)  # of client authentication that the provider takes

	def clear(self) -> None:
		for each in (self.forms, self.seen, self.logins, self.sessions, self.tokens, self.more):
			each.clear()
		self.methods[:] = ["client_secret_basic"]


@contextmanager
def serving() -> Iterator[Server]:
	server = Server(methods=["client_secret_basic"])
	app = Flask("credentials")
	_oauth(app, server)
	_logins(app, server)
	_resources(app, server)
	http = make_server("127.0.0.1", 0, app, threaded=True)
	threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
	server.url = f"http://127.0.0.1:{http.server_port}"
	try:
		yield server
	finally:
		http.shutdown()


def _oauth(app: Flask, server: Server) -> None:
	class ClientCredentials(grants.ClientCredentialsGrant):
		TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

	class Password(grants.ResourceOwnerPasswordCredentialsGrant):
		TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

		def authenticate_user(self, username, password):
			return username if (username, password) == ("ada", PASSWORD) else None

	class Bearer(JWTBearerGrant):
		def resolve_issuer_client(self, issuer):
			return Client(issuer, []) if issuer == "hub" else None

		def resolve_client_key(self, client, headers, payload):
			return public(RSA_KEY, "RSA")

		def authenticate_user(self, subject):
			return subject

		def has_granted_permission(self, client, user):
			return user == "ada"

		def get_audiences(self):
			return [f"{server.url}/token"]

	class Assertion(JWTBearerClientAssertion):
		def get_audiences(self):
			return [f"{server.url}/token"]

		def validate_jti(self, claims, jti):
			return True

		def resolve_client_public_key(self, client, headers):
			return public(RSA_KEY, "RSA")

	known = {"hub": Client("hub", server.methods)}
	provider = AuthorizationServer(
		app, query_client=known.get, save_token=lambda token, _: server.tokens.add(token["access_token"])
	)
	for grant in (ClientCredentials, Password, Bearer):
		provider.register_grant(grant)

	@app.post("/token")
	def token():
		provider.register_client_auth_method(JWTBearerClientAssertion.CLIENT_AUTH_METHOD, Assertion())
		server.forms.append({**request.form.to_dict(), "resource": request.form.getlist("resource")})
		return provider.create_token_response()

	@app.post("/token/plain")
	def plain():
		"""Answer as few providers do, with what the test says."""
		server.forms.append(request.form.to_dict())
		made = secrets.token_urlsafe(12)
		server.tokens.add(made)
		return jsonify({"access_token": made, "token_type": "Bearer", **server.more})


def _logins(app: Flask, server: Server) -> None:
	@app.route("/login", methods=["GET", "POST"])
	def login():
		server.logins.append((request.method, dict(request.headers), request.get_data(as_text=True)))
		body = request.get_json(silent=True) or request.form
		by_basic = request.authorization and request.authorization.password
		if PASSWORD not in (body.get("password"), by_basic):
			return jsonify(error="wrong password"), 403
		made = secrets.token_urlsafe(12)
		server.sessions.add(made)
		answer = make_response(jsonify({"data": {"session": {"id": made}}, **server.more}))
		answer.headers["X-Session"] = made
		answer.set_cookie("SID", made)
		return answer

	@app.post("/form-login")
	def form_login():
		made = secrets.token_urlsafe(12)
		server.sessions.add(made)
		answer = make_response("", 302)
		answer.headers["Location"] = "/welcome"
		answer.set_cookie("SID", made)
		return answer


def _resources(app: Flask, server: Server) -> None:
	@app.get("/seen")
	def seen():
		server.seen.append((dict(request.headers), request.args.to_dict(flat=False)))
		return jsonify(seen=True)

	@app.route("/elsewhere/<path>", methods=["GET", "POST"])
	def elsewhere(path):
		answer = make_response("", 307)
		answer.headers["Location"] = f"{server.more['elsewhere']}/{path}"
		return answer

	@app.get("/session")
	def session():
		given = (
			request.headers.get("X-Session"),
			request.args.get("sid"),
			request.cookies.get("SID"),
			request.headers.get("Authorization", "").removeprefix("Bearer "),
		)
		return (jsonify(ok=True), 200) if server.sessions & set(given) else (jsonify(error="no session"), 401)

	@app.get("/token-only")
	def token_only():
		given = request.headers.get("Authorization", "").split(" ")[-1]
		return (jsonify(ok=True), 200) if given in server.tokens else (jsonify(error=f"no: {given}"), 401)

	@app.get("/signed/<algorithm>")
	def signed(algorithm):
		given = request.headers.get("Authorization", "").removeprefix("Bearer ")
		keys = {"RS256": (RSA_KEY, "RSA"), "PS256": (RSA_KEY, "RSA"), "ES256": (EC_KEY, "EC")}
		key = public(*keys[algorithm]) if algorithm in keys else bytes.fromhex("00ff" * 16)
		claims = JsonWebToken([algorithm]).decode(given, key)
		claims.validate()
		return jsonify(claims=claims, headers=claims.header)

	@app.route("/aws/<path:path>", methods=["GET", "POST"])
	def aws(path):
		return (jsonify(ok=True), 200) if _is_signed() else (jsonify(error="SignatureDoesNotMatch"), 403)


def _is_signed() -> bool:
	"""Tell whether a request is signed as AWS Signature Version 4 wants; written from its documentation."""
	given = dict(
		pair.strip().split("=", 1)
		for pair in request.headers["Authorization"].removeprefix("AWS4-HMAC-SHA256 ").split(",")
	)
	key_id, day, region, service, _end = given["Credential"].split("/")
	names = given["SignedHeaders"].split(";")
	pairs = sorted(
		(quote(name, safe="-_.~"), quote(value, safe="-_.~"))
		for name, value in parse_qsl(request.query_string.decode(), keep_blank_values=True)
	)
	canonical = "\n".join(
		[
			request.method,
			quote(request.path, safe="/-_.~"),
			"&".join(f"{name}={value}" for name, value in pairs),
			*(f"{name}:{' '.join(request.headers[name].split())}" for name in names),
			"",
			given["SignedHeaders"],
			hashlib.sha256(request.get_data()).hexdigest(),
		]
	)
	scope = f"{day}/{region}/{service}/aws4_request"
	text = f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
	key = b"AWS4" + AWS[1].encode()
	for part in (day, region, service, "aws4_request"):
		key = hmac.new(key, part.encode(), hashlib.sha256).digest()
	made = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
	return key_id == AWS[0] and {"host", "x-amz-date"} <= set(names) and made == given["Signature"]


def basic(user: str, password: str) -> str:
	return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
