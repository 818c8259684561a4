"""Real things to test against: a sandbox CRM over HTTP, Redis, and the runtime on one SQLite file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, settings

from integration_hub.runtime.standalone import StandaloneRuntime
from integration_hub.sandbox import Sandbox
from integration_hub.sandbox.access import CLIENT_SECRET
from integration_hub.sandbox.example import hub_toml
from integration_hub.sandbox.redis import redis_server
from integration_hub.sandbox.sender import SECRET

MakeRuntime = Callable[..., StandaloneRuntime]
OpenHub = Callable[[str], StandaloneRuntime]

# For tests that say nothing else; HYPOTHESIS_PROFILE=long for a night.
settings.register_profile("short", max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("long", settings.get_profile("short"), max_examples=4000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
	"""Put the slow tests where the processes that share the tests begin: one waits for the last of them otherwise."""
	processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
	if processes == 1:
		return
	slow = [item for item in items if item.get_closest_marker("slow")]
	rest = [item for item in items if not item.get_closest_marker("slow")]
	size = -(-len(rest) // processes)
	items[:] = [
		item
		for number in range(processes)
		for item in (*slow[number::processes], *rest[number * size : (number + 1) * size])
	]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
	with redis_server() as url:
		yield url


@pytest.fixture
def crm() -> Iterator[Sandbox]:
	with Sandbox(customers=250) as sandbox:
		yield sandbox


@pytest.fixture
def open_hub(tmp_path: Path) -> Iterator[OpenHub]:
	"""Open a runtime on the text of a hub.toml, which takes the place of the one before."""
	opened: list[StandaloneRuntime] = []

	def open_one(text: str) -> StandaloneRuntime:
		(tmp_path / "hub.toml").write_text(text)
		(tmp_path / "hub.toml").chmod(0o600)
		opened.append(StandaloneRuntime(tmp_path / "hub.toml"))
		return opened[-1]

	yield open_one
	for runtime in opened:
		runtime.close()


@pytest.fixture
def make_runtime(open_hub: OpenHub, crm: Sandbox, monkeypatch: pytest.MonkeyPatch) -> MakeRuntime:
	"""Open a runtime on the example settings; each (old, new) pair is replaced in its hub.toml first."""
	monkeypatch.setenv("HUB_KEY", Fernet.generate_key().decode())
	monkeypatch.setenv("CRM_CLIENT_SECRET", CLIENT_SECRET)
	monkeypatch.setenv("CRM_WEBHOOK_SECRET", SECRET)

	def make(*replacements: tuple[str, str], redis_url: str = "") -> StandaloneRuntime:
		if redis_url:
			monkeypatch.setenv("CRM_QUEUE_URL", redis_url)
		text = hub_toml(crm.url, redis_url=redis_url).replace("backoff_min = 0.2", "backoff_min = 0.01")
		# Tests put servers of their own beside the sandbox.
		text = text.replace('allowed_hosts = ["', 'allowed_hosts = ["127.0.0.1:*", "')
		for old, new in replacements:
			assert old in text, f"{old!r} is not in the example"
			text = text.replace(old, new)
		return open_hub(text)

	return make


@pytest.fixture
def runtime(make_runtime: MakeRuntime) -> StandaloneRuntime:
	return make_runtime()
