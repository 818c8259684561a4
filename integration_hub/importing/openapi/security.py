"""The security schemes of a document, as the credentials of an integration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integration_hub.importing.manifest.secret_marks import secret_mark
from integration_hub.importing.openapi.document import Document
from integration_hub.importing.proposal import Complaints, Question
from integration_hub.lazy_messages import _


@dataclass
class Proposed:
	"""Credentials: settings, texts of Password fields, and what has to be asked for."""

	settings: dict[str, Any] = field(default_factory=dict)
	secrets: dict[str, str] = field(default_factory=dict)
	questions: list[Question] = field(default_factory=list)

	def ask_secret(self, field_: str, label: str) -> None:
		"""Have a secret asked for, for a Password field."""
		self.secrets[field_] = secret_mark(field_)
		self.questions.append(Question(field_, label=label, secret=True, required=True))

	def ask(self, name: str, label: str, answers: Mapping[str, Any]) -> None:
		"""Have a setting asked for."""
		self.settings[name] = str(answers.get(name, ""))
		self.questions.append(Question(name, label=label, required=True))


def credentials(document: Document, answers: Mapping[str, Any], complaints: Complaints) -> Proposed:
	"""Return the credentials that the document asks for: of its alternatives, the first that has an equal."""
	found = Proposed()
	schemes = _schemes(document)
	wanted = [name for name in _required(document) if name in schemes] or list(schemes)
	for name in wanted:
		scheme = document.resolved(schemes[name])
		if write := _HANDLERS.get(_kind(scheme)):
			write(scheme, found, answers)
			return found
	for name in wanted:
		complaints.add(
			f"securitySchemes.{name}", _("{0} has no equal", _kind(document.resolved(schemes[name])))
		)
	return found


def _schemes(document: Document) -> Mapping[str, Any]:
	if document.is_v2:
		return document.resolved(document.found.get("securityDefinitions"))
	return document.resolved(document.resolved(document.found.get("components")).get("securitySchemes"))


def _required(document: Document) -> list[str]:
	"""Return the schemes that the document asks for, else those of its first operation that asks for one."""
	asked = [document.found.get("security"), *(one.item.get("security") for one in document.operations())]
	for alternatives in asked:
		names = [name for one in alternatives or () if isinstance(one, Mapping) for name in one]
		if names:
			return names
	return []


def _kind(scheme: Mapping[str, Any]) -> str:
	kind = str(scheme.get("type") or "")
	if kind == "http":
		return str(scheme.get("scheme") or "").lower()
	if kind == "oauth2":
		return f"oauth2 {_flow(scheme)[0]}"
	return f"{kind} {scheme.get('in')}" if kind == "apiKey" else kind


def _flow(scheme: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
	"""Return the flow to be used, and what the document says of it: one that needs nobody's consent, if there is one."""
	flows = scheme.get("flows")
	if not isinstance(flows, Mapping):
		names = {"application": "clientCredentials", "accessCode": "authorizationCode"}  # of 2.0
		return names.get(str(scheme.get("flow")), str(scheme.get("flow"))), scheme
	for name in ("clientCredentials", "authorizationCode", *flows):
		if isinstance(flows.get(name), Mapping):
			return name, flows[name]
	return "", {}


def _api_key(kind: str) -> Callable[[Mapping[str, Any], Proposed, Mapping[str, Any]], None]:
	def write(scheme: Mapping[str, Any], found: Proposed, answers: Mapping[str, Any]) -> None:
		found.settings |= {"auth_type": kind, "api_key_name": str(scheme.get("name") or "")}
		found.ask_secret("secret", str(_("API Key")))

	return write


def _bearer(scheme: Mapping[str, Any], found: Proposed, answers: Mapping[str, Any]) -> None:
	found.settings["auth_type"] = "Bearer"
	found.ask_secret("secret", str(_("Token")))


def _basic(scheme: Mapping[str, Any], found: Proposed, answers: Mapping[str, Any]) -> None:
	found.settings["auth_type"] = "Basic"
	found.ask("username", str(_("Username")), answers)
	found.ask_secret("secret", str(_("Password")))


def _oauth(kind: str) -> Callable[[Mapping[str, Any], Proposed, Mapping[str, Any]], None]:
	def write(scheme: Mapping[str, Any], found: Proposed, answers: Mapping[str, Any]) -> None:
		flow = _flow(scheme)[1]
		found.settings |= {"auth_type": kind, "token_url": str(flow.get("tokenUrl") or "")}
		if scopes := flow.get("scopes"):
			found.settings["scope"] = " ".join(map(str, scopes)) if kind.endswith("Credentials") else ""
		found.ask("client_id", str(_("Client ID")), answers)
		found.ask_secret("client_secret", str(_("Client Secret")))
		if kind.endswith("Refresh Token"):
			found.ask_secret("refresh_token", str(_("Refresh Token")))

	return write


_HANDLERS = {
	"apiKey header": _api_key("API Key Header"),
	"apiKey query": _api_key("API Key Query"),
	"apiKey cookie": _api_key("API Key Cookie"),
	"bearer": _bearer,
	"basic": _basic,
	"oauth2 clientCredentials": _oauth("OAuth2 Client Credentials"),
	"oauth2 authorizationCode": _oauth("OAuth2 Refresh Token"),
}
