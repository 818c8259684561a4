"""The hub.toml of a run: the sandbox's example, impatient, with a second integration behind a Redis stream."""

from __future__ import annotations

from chaos.effects import HANDLER
from integration_hub.sandbox.example import TABLES, hub_toml

LIST, STREAM, GROUP = "crm_events", "bus_events", "chaos"
INTEGRATIONS = ("crm", "bus")
STREAMS = tuple(f"customers-{kind}" for kind in TABLES)

_EFFECTS = """event_pattern = "effect.*"
action = "Call Function"
handler = "note"
"""
_BUS = f"""
[integration.bus]
base_url = "http://127.0.0.1:9"
queue_enabled = true
queue_url = "env:CRM_QUEUE_URL"
queue_kind = "Stream"
queue_name = "{STREAM}"
queue_group = "{GROUP}"

[[integration.bus.routes]]
{_EFFECTS}
"""
_REPLACED = (
	# Each wait is short, so that a run of minutes meets what else takes days.
	(
		"backoff_min = 0.2\n",
		"backoff_min = 0.05\nbackoff_max = 0.5\nmax_attempts = 3\nconnect_timeout = 2\nread_timeout = 2\n"
		"breaker_seconds = 2\nmax_wait = 2\nordering_key_path = 'key'\n",
	),
	("[[integration.crm.routes]]\n", f"[[integration.crm.routes]]\n{_EFFECTS}\n[[integration.crm.routes]]\n"),
	('mode = "Full"\n', 'mode = "Full"\nlanes = 2\n'),
	('mode = "Cursor"\n', 'mode = "Cursor"\ncursor_lists_all = true\n'),
	# The run asks for each stream itself, until it leaves them alone; and nobody is there to approve of anything.
	(
		'integration = "crm"\n',
		'integration = "crm"\nschedule = "Interval"\ninterval_minutes = 1\npage_size = 50\nmax_delete_count = 100000\n',
	),
	('allowed_hosts = ["', 'allowed_hosts = ["127.0.0.1:*", "'),  # the queue's port is not known here
	("\n[stream.customers-full]\n", f"{_BUS}\n[stream.customers-full]\n"),
)


def chaos_toml(crm_url: str) -> str:
	"""Return the settings for the sandbox at `crm_url`. Secrets are in the environment (see environment)."""
	text = hub_toml(crm_url, redis_url="env:CRM_QUEUE_URL")
	for old, new in _REPLACED:
		if old not in text:
			raise ValueError(f"{old!r} is no longer in the sandbox's example")
		once = old.startswith("[[")  # the run's own route comes first
		text = text.replace(old, new, 1 if once else -1)
	return f'{text}\n[handlers]\nnote = "{HANDLER}"\n'
