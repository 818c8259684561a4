"""The hub.toml that connects a hub to the sandbox: the example `init` writes, and the demo's settings."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

_FIELDS = """customer_id = "Data"
customer_name = "Data"
email = "Data"
city = "Data"
credit_limit = "Currency"
active = "Check"
"""

# Target field → source field, for tests that compare the two sides without the hub's own mapping.
FIELDS = {
	"customer_id": "id",
	"customer_name": "name",
	"email": "email",
	"city": "city",
	"credit_limit": "credit_limit",
	"active": "active",
}

TABLES = {
	"full": "Sandbox Customer",
	"incremental": "Sandbox Customer Change",
	"cursor": "Sandbox Customer Feed",
}


def _places(url: str, redis_url: str) -> list[str]:
	"""Return the entries of `allowed_hosts`: the sandbox, and the port of a Redis on this machine."""
	redis = urlsplit(redis_url)
	queue = [f"127.0.0.1:{redis.port or 6379}"] if redis.hostname else []
	return [urlsplit(url).netloc, *queue]


_ROUTES = """[[integration.crm.routes]]
event_pattern = "customer.deleted"
action = "Delete Record"
stream = "customers-full"
record_path = "data"

[[integration.crm.routes]]
event_pattern = "customer.*"
action = "Upsert Record"
stream = "customers-full"
record_path = "data"

# A new stream is off until its first `integration-hub sync`, so that nothing runs while it is being written.
# `enabled = true` switches it on from the start, as here; `enabled = false` keeps it off.

"""


def hub_toml(url: str, *, redis_url: str = "", key: str = "env:HUB_KEY") -> str:
	"""Return a hub.toml for the sandbox at `url`.

	The secrets are references to environment variables: CRM_CLIENT_SECRET, CRM_WEBHOOK_SECRET, CRM_QUEUE_URL.
	"""
	parts = [
		_hub(url, redis_url, key),
		_integration(url, bool(redis_url)),
		_ROUTES,
		_full(),
		_incremental(),
		_cursor(),
	]
	return "".join([*parts, *(f'[table."{table}"]\n{_FIELDS}\n' for table in TABLES.values())])


def _hub(url: str, redis_url: str, key: str) -> str:
	redis = f'redis = "{redis_url}"\n' if redis_url else ""
	return f"""# Integration Hub, connected to the sandbox (`integration-hub sandbox`).
# Keys are the fieldnames of the doctypes; secrets are references: env:NAME or file:PATH.

[hub]
database = "hub.db"
encryption_key = "{key}"
allowed_hosts = {json.dumps(_places(url, redis_url))}  # the sandbox; other private addresses are refused
{redis}
"""


def _integration(url: str, is_queue_read: bool) -> str:
	queue = (
		'queue_enabled = true\nqueue_url = "env:CRM_QUEUE_URL"\nqueue_name = "crm_events"\n'
		if is_queue_read
		else ""
	)
	return f"""[integration.crm]
base_url = "{url}"
test_path = "/v1/me"
auth_type = "OAuth2 Client Credentials"
token_url = "{url}/oauth/token"
client_id = "sandbox"
client_secret = "env:CRM_CLIENT_SECRET"
backoff_min = 0.2
webhook_enabled = true
webhook_secret = "env:CRM_WEBHOOK_SECRET"
signature_header = "X-Webhook-Signature"
event_type_path = "event"
event_id_path = "id"
{queue}
"""


def _full() -> str:
	return f"""# Every customer; those gone from the source are removed.
[stream.customers-full]
integration = "crm"
mode = "Full"
endpoint = "/v1/customers/page"
records_path = "data"
updated_at_path = "updated_at"
pagination = "Page Number"
more_path = "has_more"
target_doctype = "{TABLES["full"]}"
deletion_policy = "Delete"
enabled = true

[stream.customers-full.mapping]
{_mapping("")}
"""


def _incremental() -> str:
	return f"""# What changed since the watermark.
[stream.customers-incremental]
integration = "crm"
mode = "Incremental"
endpoint = "/v1/customers/cursor"
params = "include_deleted=true"
records_path = "data"
updated_at_path = "updated_at"
deleted_path = "deleted"
pagination = "Cursor"
ordered = false
target_doctype = "{TABLES["incremental"]}"
deletion_policy = "Delete"
enabled = true

[stream.customers-incremental.mapping]
{_mapping("")}
"""


def _cursor() -> str:
	return f"""# A change feed, with a checkpoint after each page.
[stream.customers-cursor]
integration = "crm"
mode = "Cursor"
endpoint = "/v1/changes"
records_path = "changes"
updated_at_path = "record.updated_at"
deleted_path = "type == 'deleted'"
pagination = "Cursor"
more_path = "has_more"
target_doctype = "{TABLES["cursor"]}"
deletion_policy = "Delete"
enabled = true

[stream.customers-cursor.mapping]
{_mapping("record.")}
"""


def _mapping(prefix: str) -> str:
	return f"""customer_id = {{ source_path = "{prefix}id", required = true }}
customer_name = "{prefix}name"
email = "{prefix}email"
city = "{prefix}city"
credit_limit = {{ source_path = "{prefix}credit_limit", conversion = "Number" }}
active = {{ source_path = "{prefix}active", conversion = "Check" }}
"""
