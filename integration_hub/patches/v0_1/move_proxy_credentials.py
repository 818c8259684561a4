"""A proxy's user and password stood in its URL, for every reader to see; they go where secrets are kept."""

import json
from typing import Any
from urllib.parse import unquote

import frappe
from frappe.utils.password import set_encrypted_password

DOCTYPE = "Integration Settings"


def execute() -> None:
	"""Move them out of each proxy URL, and out of what its document's history keeps of it."""
	for row in frappe.get_all(DOCTYPE, filters={"proxy": ["like", "%@%"]}, fields=["name", "proxy"]):
		user, password, url = parted(row.proxy)
		secret = f"{unquote(user)}:{unquote(password)}"
		set_encrypted_password(DOCTYPE, row.name, secret, "proxy_secret")
		values = {"proxy": url, "proxy_secret": "*" * len(secret)}
		frappe.db.set_value(DOCTYPE, row.name, values, update_modified=False)
	for version in frappe.get_all("Version", filters={"ref_doctype": DOCTYPE}, fields=["name", "data"]):
		if (data := cleaned(version.data)) != version.data:
			frappe.db.set_value("Version", version.name, "data", data, update_modified=False)


def parted(url: str) -> tuple[str, str, str]:
	"""Return user, password, and the URL without them."""
	scheme, slashes, rest = url.partition("://") if "://" in url else ("", "", url)
	userinfo, _, host = rest.rpartition("@")
	user, _, password = userinfo.partition(":")
	return user, password, f"{scheme}{slashes}{host}"


def cleaned(text: str | None) -> str | None:
	"""Return a Version's data without the credentials in the proxies it tells of."""
	try:
		data: dict[str, Any] = json.loads(text or "")
	except ValueError:
		return text
	told = [row for row in data.get("changed") or [] if row[0] == "proxy"]
	if not any("@" in str(value) for row in told for value in row[1:]):
		return text
	for row in told:
		row[1:] = [parted(value)[2] if value else value for value in row[1:]]
	return json.dumps(data, indent=1)
