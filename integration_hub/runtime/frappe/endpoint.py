"""The site's endpoint within Frappe's handling of a request, which reads the body before any app's code runs."""

from __future__ import annotations

import re

import frappe
from werkzeug.wrappers import Request
from werkzeug.wrappers import Response as WerkzeugResponse

from integration_hub.runtime.frappe.receiver import EndpointRuntime
from integration_hub.webhooks.messages import Response
from integration_hub.webhooks.receive import receive
from integration_hub.webhooks.receiver import AUTHORIZATION, from_wsgi

_ENDPOINT_PATH = re.compile(r"/api/(?:v[12]/)?method/integration_hub\.api\.webhook(?:/(.*))?", re.DOTALL)


def integration_called(path: str) -> str | None:
	"""Return the integration whose endpoint a path is, None if it is no endpoint."""
	found = _ENDPOINT_PATH.fullmatch(path)
	return (found[1] or "").strip("/") if found else None


def prepare() -> None:
	"""Keep Frappe from reading a sender's request as one of its own.

	A sender's `Authorization` header would be answered 401 before the endpoint is reached (frappe#35202), and a
	body with the key `cmd` would be taken for a call of that method.
	"""
	request = frappe.local.request
	if integration_called(request.path) is None:
		return
	frappe.local.flags.integration_hub_endpoint = "open"
	if given := request.environ.pop("HTTP_AUTHORIZATION", None):
		request.environ[AUTHORIZATION] = given
	frappe.local.form_dict = frappe._dict()


def answer() -> Response:
	"""Answer the current request as the endpoint does."""
	request = frappe.local.request
	frappe.local.flags.integration_hub_endpoint = "answered"
	integration = integration_called(request.path) or ""
	return receive(EndpointRuntime(), from_wsgi(request.environ, integration, request.get_data()))


def finish(request: Request, response: WerkzeugResponse | None) -> None:
	"""Answer as the endpoint does what Frappe has answered before it got there.

	It parses a body that claims to be JSON first, and answers one that is malformed with 500 or (v16) 417, one that is a scalar
	with 417, and OPTIONS and methods that it does not know by itself.
	"""
	if response is None or integration_called(request.path) is None:
		return
	state = frappe.local.flags.integration_hub_endpoint
	if state != "answered" and _refused_by_frappe(response, state):
		_answer_instead(request, response, state)
	_keep_challenge(response)


def _answer_instead(request: Request, response: WerkzeugResponse, state: str | None) -> None:
	if not state:  # Frappe did not get as far as that
		prepare()
	said = answer()
	response.status_code = said.status
	response.set_data("" if request.method == "HEAD" else said.text)
	for name, value in said.all_headers:
		response.headers[name] = value


def _keep_challenge(response: WerkzeugResponse) -> None:
	"""Have a refusal ask for what the scheme wants: v16 asks for an OAuth token of its own, unless told after that."""
	challenge = response.headers.get("WWW-Authenticate")
	if challenge and hasattr(frappe.local, "response_headers"):
		frappe.local.response_headers["WWW-Authenticate"] = challenge


def _refused_by_frappe(response: WerkzeugResponse, state: str | None) -> bool:
	"""Tell whether Frappe, which is up, could not make sense of a request; not that it is in maintenance, or too busy."""
	if frappe.local.conf.maintenance_mode or response.status_code in (429, 503) or not frappe.db:
		return False
	return state == "open" or response.status_code in (417, 500)
