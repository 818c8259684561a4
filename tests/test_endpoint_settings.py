"""Settings of endpoints that cannot work are refused when they are read, and not with the first event."""

from __future__ import annotations

import subprocess

import pytest

from integration_hub.sandbox.redis import free_port
from integration_hub.stores.runtime import HubError
from tests.slow_senders import HUB, running

WEBHOOKS = "webhook_enabled = true"
ROUTE = '[[integration.crm.routes]]\nevent_pattern = "customer.deleted"'
QUEUE = 'queue_name = "crm_events"'


def with_route(lines: str) -> tuple[str, str]:
	return ROUTE, f'[[integration.crm.routes]]\nevent_pattern = "x"\n{lines}\n\n{ROUTE}'


@pytest.mark.parametrize(
	("change", "field", "says"),
	[
		((WEBHOOKS, f'{WEBHOOKS}\nwebhook_scheme = "Githup"'), "webhook_scheme", "Githup"),
		((WEBHOOKS, f'{WEBHOOKS}\nsignature_algorithm = "md4"'), "signature_algorithm", "md4"),
		((WEBHOOKS, f'{WEBHOOKS}\nsignature_encoding = "base32"'), "signature_encoding", "base32"),
		(('webhook_secret = "env:CRM_WEBHOOK_SECRET"', ""), "webhook_secret", "empty"),
		((WEBHOOKS, f"{WEBHOOKS}\nmax_body_mb = -1"), "max_body_mb", "from 0 to 100"),
		((WEBHOOKS, f"{WEBHOOKS}\nmax_body_mb = 5000"), "max_body_mb", "from 0 to 100"),
		((WEBHOOKS, f"{WEBHOOKS}\nmax_body_mb = nan"), "max_body_mb", ""),
		((WEBHOOKS, f"{WEBHOOKS}\nqueue_enabled = true"), "queue_url", "needed"),
		(with_route('action = "Upset Record"\nstream = "customers-full"'), "routes", "Upset Record"),
		(with_route('action = "Upsert Record"'), "routes", "needs a stream"),
		(with_route(""), "routes", "needs a stream"),
		(with_route('action = "Start Sync"'), "routes", "needs a stream"),
		(with_route('action = "Delete Record"\nstream = "nosuch"'), "routes", "nosuch"),
		(with_route('action = "Call Function"'), "routes", "handler"),
		(with_route('action = "Call Function"\nhandler = "nosuch"'), "routes", "nosuch"),
		(with_route('action = "Run Server Script"\nserver_script = "x"'), "routes", "Frappe site"),
	],
)
def test_what_cannot_work_is_refused_by_field(make_runtime, change, field, says):
	with pytest.raises(HubError) as refused:
		make_runtime(change)
	assert (refused.value.field, says in str(refused.value)) == (field, True), str(refused.value)
	assert "[integration.crm]" in str(refused.value)


@pytest.mark.parametrize(
	("change", "field"),
	[
		((QUEUE, f'{QUEUE}\nqueue_end = "Top"'), "queue_end"),
		((QUEUE, f'{QUEUE}\nqueue_kind = "Pile"'), "queue_kind"),
		((QUEUE, 'queue_name = " "'), "queue_name"),
		((QUEUE, f'{QUEUE}\nqueue_kind = "Stream"\nqueue_group = ""'), "queue_group"),
	],
)
def test_a_queue_that_cannot_be_read_is_refused(make_runtime, redis_url, change, field):
	with pytest.raises(HubError) as refused:
		make_runtime(change, redis_url=redis_url)
	assert refused.value.field == field


def test_a_receiver_says_which_secrets_it_cannot_read_and_serves_the_others(make_runtime, monkeypatch, capfd):
	runtime = make_runtime((WEBHOOKS, f"{WEBHOOKS}"))
	monkeypatch.delenv("CRM_WEBHOOK_SECRET")
	with running(runtime.file.folder / "hub.toml"):
		pass
	assert "CRM_WEBHOOK_SECRET is not set" in capfd.readouterr().err


def test_a_receiver_does_not_begin_with_settings_that_cannot_work(make_runtime):
	runtime = make_runtime()
	path = runtime.file.folder / "hub.toml"
	path.write_text(path.read_text().replace(WEBHOOKS, f'{WEBHOOKS}\nwebhook_scheme = "Githup"'))
	command = [*HUB, "--config", str(path), "serve", "--port", str(free_port())]
	refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
	assert refused.returncode == 1 and "webhook_scheme" in refused.stderr
