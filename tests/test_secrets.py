"""No secret leaves its field: every log, error, repr and traceback a failing call produces is searched."""

from __future__ import annotations

import logging
import traceback

import pytest

from integration_hub.connectors import errors
from integration_hub.connectors.config import IntegrationConfig
from integration_hub.connectors.coordination import LocalCoordination
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.registry import connector_for
from integration_hub.connectors.secrets import Secret
from integration_hub.sandbox.access import CLIENT_SECRET, REFRESH_TOKEN
from integration_hub.sync.run import run_stream
from tests.test_connectors import FAST, LOCAL, Memory

KEY = "sk-live/9f8e+7d6c=5b4a"
AUTHS = {
	"API Key Header": {},
	"API Key Query": {"api_key_name": "key"},
	"Basic": {"username": "ada"},
	"Bearer": {},
	"HMAC": {"api_key_name": "X-Signature"},
	"OAuth2 Client Credentials": {},
	"OAuth2 Refresh Token": {},
}
FAULTS = ["none", "500", "reset", "truncate", "garbage", "slow", "refused"]


class Masked(Memory):
	"""Memory as the runtimes keep it: what it gives has no readable repr."""

	def get(self, field: str) -> str | None:
		value = super().get(field)
		return Secret(value) if value else None

	get_committed = get


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("auth", AUTHS)
def test_nothing_a_failing_call_leaves_behind_holds_a_secret(crm, caplog, auth, fault):
	caplog.set_level(logging.DEBUG)
	right = auth.startswith("OAuth2")
	secrets = Masked(secret=KEY, client_secret=CLIENT_SECRET if right else KEY, refresh_token=REFRESH_TOKEN)
	config = IntegrationConfig(
		"crm",
		base_url=crm.url,
		auth_type=auth,
		token_url=f"{crm.url}/oauth/token",
		client_id="sandbox",
		max_attempts=1,
		read_timeout=0.2,
		**AUTHS[auth],
		**FAST,
	)
	crm.faults.set(following=[fault] if fault != "refused" else [])
	if fault == "refused":
		crm.stop()
	connector = connector_for(config, secrets, LocalCoordination(), {}, LOCAL)
	shown = [repr(connector), repr(vars(connector)), repr(config)]
	with pytest.raises(errors.ConnectorError) as caught:
		connector.get("/v1/nothing", params={"note": KEY})
	error: BaseException | None = caught.value
	while error:
		told = traceback.TracebackException.from_exception(error, capture_locals=True)
		frames = [frame for frame in told.stack if "tests" not in frame.filename]
		shown += [str(error), repr(error), repr(vars(error)), *map(_told, frames)]
		error = error.__cause__
	shown += [record.getMessage() for record in caplog.records]
	issued = secrets.values.get("oauth_token", "")
	for secret in (KEY, "sk-live%2F9f8e%2B7d6c%3D5b4a", CLIENT_SECRET, REFRESH_TOKEN, *_tokens(issued)):
		for text in shown:
			assert secret not in text, text[:2000]


def _told(frame: traceback.FrameSummary) -> str:
	"""A frame as a debugger prints it: its line and its locals. Values given by a caller are his own."""
	given = ("params", "options", "url")  # `url` holds the params
	own = {name: value for name, value in (frame.locals or {}).items() if name not in given}
	return f"{frame.line} {own}"


def _tokens(text: str) -> list[str]:
	import json

	token = json.loads(text) if text else {}
	return [token[name] for name in ("access_token", "refresh_token") if token.get(name)]


def test_nothing_a_failing_sync_writes_holds_a_secret(make_runtime, crm, monkeypatch, caplog):
	"""The database file, byte by byte."""
	caplog.set_level(logging.DEBUG)
	runtime = make_runtime(("backoff_min = 0.01", "backoff_min = 0.01\nmax_attempts = 1"))
	run_stream(runtime, "customers-full")
	token = runtime.secrets("crm").get("oauth_token")
	crm.faults.set(following=["500"])
	run_stream(runtime, "customers-full")
	crm.tokens.revoke_all()
	monkeypatch.setenv("CRM_CLIENT_SECRET", "wrong/secret+value")
	run_stream(runtime, "customers-incremental")
	runtime.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
	written = b"".join(path.read_bytes() for path in runtime.file.folder.glob("hub.db*") if path.is_file())
	written += caplog.text.encode()
	for secret in (*_tokens(token), CLIENT_SECRET, "wrong/secret+value", "wrong%2Fsecret"):
		assert secret.encode() not in written, secret


def test_a_secret_with_a_lone_surrogate_is_masked_as_well():
	"""JSON may hold one, and no encoding takes it."""
	redactor = Redactor(["\ud800-a-token-of-theirs"])
	assert "a-token-of-theirs" not in redactor.text("it was \ud800-a-token-of-theirs")
