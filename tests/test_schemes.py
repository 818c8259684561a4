"""Who sent this: published vectors, signatures made by the senders' own libraries, and every byte of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import time
from datetime import datetime, timezone
from urllib.parse import urlencode

import pytest
import slack_sdk.signature
import standardwebhooks
import stripe
import twilio.request_validator
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.errors import ConfigurationError
from integration_hub.webhooks.messages import Request
from integration_hub.webhooks.schemes import SCHEMES, BadSignature, scheme_for
from tests.scheme_secrets import secret_for

EVER = 10**10  # a tolerance within which a published vector is always fresh


def verify(scheme: str, headers: dict, body: bytes, *secrets: str, url: str = "", **config) -> None:
	request = Request("x", "POST", {k.lower(): v for k, v in headers.items()}, body, url)
	scheme_for(IntegrationConfig("x", webhook_scheme=scheme, **config)).verify(request, secrets)


def public_key(private: bytes) -> str:
	raw = Ed25519PrivateKey.from_private_bytes(private).public_key()
	return "whpk_" + base64.b64encode(raw.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


# Standard Webhooks' own tests: libraries/go/webhook_symmetric_test.go, webhook_asymmetric_test.go.
STANDARD = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330"}
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SIGNING_KEY = base64.b64decode("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")

SLACK_BODY = (
	b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
	b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
	b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
	b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

VECTORS = {
	"GitHub": (
		"GitHub",
		{"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		b"Hello, World!",
		"It's a Secret to Everybody",
		"X-Hub-Signature-256",
	),
	"Slack": (
		"Slack",
		{
			"X-Slack-Request-Timestamp": "1531420618",
			"X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
		},
		SLACK_BODY,
		"8f742231b10e8888abcd99yyyzzz85a5",
		"X-Slack-Signature",
	),
	"Standard Webhooks v1": (
		"Standard Webhooks",
		{**STANDARD, "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		STANDARD_BODY,
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"webhook-signature",
	),
	"Standard Webhooks v1a": (
		"Standard Webhooks",
		{
			**STANDARD,
			"webhook-signature": "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
		},
		STANDARD_BODY,
		public_key(STANDARD_SIGNING_KEY),
		"webhook-signature",
	),
}


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_vector_is_accepted_and_each_altered_byte_rejected(name):
	scheme, headers, body, secret, header = VECTORS[name]
	verify(scheme, headers, body, secret, webhook_tolerance=EVER)
	verify(scheme, headers, body, OTHER_SECRET.get(scheme, "older"), secret, webhook_tolerance=EVER)
	for position in range(len(body)):
		altered = body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]
		with pytest.raises(BadSignature):
			verify(scheme, headers, altered, secret, webhook_tolerance=EVER)
	signature = headers[header]
	for position, letter in enumerate(signature):
		altered = signature[:position] + chr(ord(letter) ^ 1) + signature[position + 1 :]
		if _decoded(altered) == _decoded(signature):
			continue  # the last letter of base64 has bits that mean nothing
		with pytest.raises(BadSignature):
			verify(scheme, {**headers, header: altered}, body, secret, webhook_tolerance=EVER)
	for signed in headers.keys() - {header}:
		with pytest.raises(BadSignature):
			verify(scheme, {**headers, signed: headers[signed] + "1"}, body, secret, webhook_tolerance=EVER)
		with pytest.raises(BadSignature):
			verify(scheme, {**headers, signed: ""}, body, secret, webhook_tolerance=EVER)


OTHER_SECRET = {"Standard Webhooks": "whsec_b3RoZXI="}


def _decoded(signature: str) -> object:
	version, _, text = signature.partition(",")
	try:
		return version, base64.b64decode(text) if text else None
	except ValueError:
		return signature


BODY = json.dumps({"id": "evt_1", "type": "invoice.paid", "data": {"n": 1, "name": "Ünïcode"}}).encode()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def by_stripe(at: int) -> tuple[dict, bytes, str]:
	signature = stripe.WebhookSignature._compute_signature(f"{at}.{BODY.decode()}", SECRET)
	return {"Stripe-Signature": f"t={at},v0=ignored,v1={signature}"}, BODY, SECRET


def by_standardwebhooks(at: int) -> tuple[dict, bytes, str]:
	signature = standardwebhooks.Webhook(SECRET).sign(
		"msg_1", datetime.fromtimestamp(at, timezone.utc), BODY.decode()
	)
	headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}
	return headers, BODY, SECRET


def by_slack_sdk(at: int) -> tuple[dict, bytes, str]:
	verifier = slack_sdk.signature.SignatureVerifier(SECRET)
	signature = verifier.generate_signature(timestamp=str(at), body=BODY)
	return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": signature}, BODY, SECRET


TIMED = {"Stripe": by_stripe, "Standard Webhooks": by_standardwebhooks, "Slack": by_slack_sdk}


@pytest.mark.parametrize("scheme", TIMED)
def test_what_a_senders_library_signs_is_accepted_for_a_while_either_way(scheme):
	for offset in (0, -200, 200):
		headers, body, secret = TIMED[scheme](int(time.time()) + offset)
		verify(scheme, headers, body, secret)
		with pytest.raises(BadSignature, match="signature_wrong"):
			verify(scheme, headers, body + b" ", secret)
		with pytest.raises(BadSignature, match="signature_wrong"):
			verify(scheme, headers, body, "whsec_b3RoZXI=")
	for offset, reason in ((-400, "timestamp_too_old"), (400, "timestamp_in_the_future")):
		headers, body, secret = TIMED[scheme](int(time.time()) + offset)
		with pytest.raises(BadSignature, match=reason):
			verify(scheme, headers, body, secret)
		verify(scheme, headers, body, secret, webhook_tolerance=500)


URL = "https://hub.example.com/api/method/integration_hub.api.webhook/x?a=1&b=%20two"
FORM = {"From": "+15551234567", "Body": "Grüße & mehr", "MessageSid": "SM1", "Empty": ""}


@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
@pytest.mark.parametrize("seen_as", [URL, URL.replace("example.com", "example.com:443")])
def test_a_form_signed_by_twilios_library_is_accepted(algorithm, seen_as):
	signature = twilio.request_validator.RequestValidator(SECRET).compute_signature(URL, FORM, algorithm)
	headers = {
		"X-Twilio-Signature": signature,
		"X-Twilio-Webhooks-Signature-Settings": f"key=k,algorithm={algorithm}",
		"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
	}
	body = urlencode(FORM).encode()
	verify("Twilio", headers, body, SECRET, url=seen_as)
	inner = seen_as.replace("https://hub.example.com", "http://10.0.0.1:8000")
	verify("Twilio", headers, body, SECRET, url=inner, webhook_url=URL.partition("?")[0])
	for wrong in (
		{"body": body.replace(b"SM1", b"SM2")},
		{"url": seen_as.replace("a=1", "a=2")},
		{"url": inner},
	):
		with pytest.raises(BadSignature, match="signature_wrong"):
			verify("Twilio", headers, wrong.get("body", body), SECRET, url=wrong.get("url", seen_as))


def test_a_json_body_of_twilio_is_signed_by_its_hash_in_the_url():
	url = f"{URL}&bodySHA256={hashlib.sha256(BODY).hexdigest()}"
	signature = twilio.request_validator.RequestValidator(SECRET).compute_signature(url, {})
	headers = {"X-Twilio-Signature": signature, "Content-Type": "application/json"}
	verify("Twilio", headers, BODY, SECRET, url=url)
	with pytest.raises(BadSignature, match="signature_wrong"):
		verify("Twilio", headers, BODY + b" ", SECRET, url=url)
	unsigned = twilio.request_validator.RequestValidator(SECRET).compute_signature(URL, {})
	with pytest.raises(BadSignature, match="body_not_signed"):
		verify("Twilio", {**headers, "X-Twilio-Signature": unsigned}, BODY, SECRET, url=URL)


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not here")
def test_what_octokit_signs_is_accepted(tmp_path):
	package = "@octokit/webhooks-methods@6.0.0"
	subprocess.run(["npm", "install", "--silent", package], cwd=tmp_path, check=True, timeout=120)
	script = "import {sign} from '@octokit/webhooks-methods'; console.log(await sign(process.argv[1], process.argv[2]))"
	done = subprocess.run(
		["node", "--input-type=module", "-e", script, SECRET, BODY.decode()],
		cwd=tmp_path,
		check=True,
		capture_output=True,
		text=True,
	)
	headers = {"X-Hub-Signature-256": done.stdout.strip()}
	verify("GitHub", headers, BODY, SECRET)
	with pytest.raises(BadSignature):
		verify("GitHub", headers, BODY + b" ", SECRET)


def _mac(secret: str, body: bytes) -> bytes:
	return hmac.new(secret.encode(), body, hashlib.sha256).digest()


def _b64(value: bytes) -> str:
	return base64.b64encode(value).decode()


SIMPLE = {
	"Shopify": ({"X-Shopify-Hmac-Sha256": _b64(_mac(SECRET, BODY))}, {}),
	"Frappe": ({"X-Frappe-Webhook-Signature": _b64(_mac(SECRET, BODY))}, {}),
	"Meta": ({"X-Hub-Signature-256": "sha256=" + _mac(SECRET, BODY).hex()}, {}),
	"X": ({"x-twitter-webhooks-signature": "sha256=" + _b64(_mac(SECRET, BODY))}, {}),
	"Token": (
		{"X-Gitlab-Token": f"Token {SECRET}"},
		{"signature_header": "X-Gitlab-Token", "signature_prefix": "Token "},
	),
	"HMAC": (
		{"X-Sig": "v=" + _b64(hmac.new(SECRET.encode(), BODY, hashlib.sha512).digest())},
		{
			"signature_header": "X-Sig",
			"signature_prefix": "v=",
			"signature_algorithm": "sha512",
			"signature_encoding": "base64",
		},
	),
}


@pytest.mark.parametrize("scheme", SIMPLE)
def test_the_simple_schemes(scheme):
	headers, config = SIMPLE[scheme]
	verify(scheme, headers, BODY, SECRET, **config)
	verify(scheme, headers, BODY, "another", SECRET, **config)
	[(name, value)] = headers.items()
	for wrong in ("", value[:-3], value + "x", value.swapcase(), "é", "x" * 5000):
		with pytest.raises(BadSignature):
			verify(
				scheme,
				{name: wrong},
				BODY,
				SECRET,
				**config,
			)
	if scheme != "Token":
		with pytest.raises(BadSignature, match="signature_wrong"):
			verify(scheme, headers, BODY + b" ", SECRET, **config)


def test_basic_authentication():
	headers = {"Authorization": f"Basic {_b64('hub:pässword:with colon'.encode())}"}
	verify("Basic", headers, BODY, "old:one", "hub:pässword:with colon")
	for wrong in (
		"Basic",
		"Basic !",
		"Bearer x",
		f"Basic {_b64(b'hub:guess')}",
		f"Basic {_b64(bytes([255]))}",
	):
		with pytest.raises(BadSignature):
			verify("Basic", {"Authorization": wrong}, BODY, "hub:pässword")
	with pytest.raises(ConfigurationError, match="user:password"):
		verify("Basic", headers, BODY, "without-a-user")


def test_a_public_key_does_not_pass_as_a_secret():
	"""Who knows the public key must not be able to sign with it: v1 and v1a are kept apart."""
	public, now = public_key(STANDARD_SIGNING_KEY), str(int(time.time()))
	headers = {"webhook-id": "m", "webhook-timestamp": now}
	content = f"m.{now}.".encode() + BODY
	raw = base64.b64decode(public.removeprefix("whpk_"))
	forged = _b64(hmac.new(raw, content, hashlib.sha256).digest())
	for version in ("v1", "v1a"):
		with pytest.raises(BadSignature):
			verify("Standard Webhooks", {**headers, "webhook-signature": f"{version},{forged}"}, BODY, public)
	for secret in ("whsk_AAAA", "whpk_AAAA", "not base64!", "whsec_"):
		with pytest.raises(ConfigurationError):
			verify("Standard Webhooks", {**headers, "webhook-signature": "v1,x"}, BODY, secret)


@settings(max_examples=150, deadline=None)
@given(
	scheme=st.sampled_from(sorted(SCHEMES)),
	values=st.lists(
		st.text(max_size=40) | st.sampled_from(["v1,AA==", "t=1,v1=a", "sha256=", "v0=1", "1"]),
		min_size=14,
		max_size=14,
	),
	body=st.binary(max_size=60),
	url=st.text(max_size=40) | st.just(URL),
)
def test_no_scheme_fails_on_anything_else_than_its_verdict(scheme, values, body, url):
	names = [
		"x-hub-signature-256",
		"x-shopify-hmac-sha256",
		"x-frappe-webhook-signature",
		"x-twitter-webhooks-signature",
		"stripe-signature",
		"x-slack-signature",
		"x-slack-request-timestamp",
		"webhook-id",
		"webhook-timestamp",
		"webhook-signature",
		"x-twilio-signature",
		"x-webhook-signature",
		"authorization",
		"content-type",
	]
	with pytest.raises(BadSignature):
		verify(
			scheme,
			dict(zip(names, values, strict=True)),
			body,
			secret_for(scheme),
			url=url,
		)
