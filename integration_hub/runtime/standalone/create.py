"""The first hub.toml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cryptography.fernet import Fernet

from integration_hub.runtime.standalone.runtime import StandaloneRuntime
from integration_hub.sandbox.example import hub_toml
from integration_hub.stores.private_files import make_file, make_folder
from integration_hub.stores.runtime import HubError

_SECRETS = {"CRM_CLIENT_SECRET": "sandbox-client-secret", "CRM_WEBHOOK_SECRET": "sandbox-webhook-secret"}


def create(path: Path, url: str) -> Iterator[str]:
	"""Write hub.toml for the sandbox with its key and secrets beside it, and the database.

	An existing hub.toml is kept: only the database is brought in line. Says what it did, line by line.
	"""
	if not path.exists():
		folder = path.resolve().parent
		secrets = folder / "secrets"
		folder.parent.mkdir(parents=True, exist_ok=True)
		make_folder(folder)
		make_folder(secrets)
		text = hub_toml(url, key="file:secrets/HUB_KEY")
		make_file(secrets / "HUB_KEY", Fernet.generate_key().decode())
		for name, value in _SECRETS.items():
			make_file(secrets / name, value)
			text = text.replace(f"env:{name}", f"file:secrets/{name}")
		make_file(path, text)
		yield f"Wrote {path} and {secrets}/ (the sandbox's secrets; keep the folder out of version control)."
	else:
		yield f"Kept {path}."
	try:
		with StandaloneRuntime(path) as runtime:
			yield f"The database is {runtime.file.database}."
	except OSError as error:
		raise HubError(str(error), name=str(path)) from None
	yield "Its streams are on (enabled = true). A new one is off until its first `integration-hub sync`, which switches it on."
	yield "Next: `integration-hub sandbox` in one terminal, `integration-hub sync` in another."
