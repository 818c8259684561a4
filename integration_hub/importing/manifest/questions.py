"""The questions that a manifest's `spec` asks: what it needs to know of an account, and which of it is secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from integration_hub.connectors.redact import says_secret
from integration_hub.importing.proposal import Question

_KINDS = ("string", "integer", "number", "boolean", "array", "object")
_DEEPEST = 6


def questions_of(spec: Any) -> list[Question]:
	"""Return the questions of a `spec`, in order, none for one that is not there."""
	schema = (
		spec.get("connection_specification") or spec.get("connectionSpecification")
		if isinstance(spec, Mapping)
		else None
	)
	return list(_questions(schema, "", None, 0)) if isinstance(schema, Mapping) else []


def _questions(schema: Mapping[str, Any], prefix: str, when: Any, depth: int) -> Iterator[Question]:
	properties = schema.get("properties")
	required = schema.get("required") or ()
	if not isinstance(properties, Mapping) or depth > _DEEPEST:
		return
	for name, one in _ordered(properties):
		path = f"{prefix}{name}"
		if not isinstance(one, Mapping):
			continue
		if choices := [
			choice for choice in one.get("oneOf") or one.get("anyOf") or () if isinstance(choice, Mapping)
		]:
			yield from _choice(choices, path, depth)
		elif isinstance(one.get("properties"), Mapping):
			yield from _questions(one, f"{path}.", when, depth + 1)
		else:
			yield _question(one, path, name in required if isinstance(required, list) else False, when)


def _ordered(properties: Mapping[str, Any]) -> list[tuple[str, Any]]:
	def place(pair: tuple[str, Any]) -> float:
		order = pair[1].get("order") if isinstance(pair[1], Mapping) else None
		return order if isinstance(order, int | float) else 1e9

	return sorted(properties.items(), key=place)


def _choice(choices: list[Mapping[str, Any]], path: str, depth: int) -> Iterator[Question]:
	"""Ask which alternative holds, if a constant tells them apart, and then its own questions."""
	constants = [_constant(choice) for choice in choices]
	name = next((found[0] for found in constants if found), "")
	if not name:
		if all(isinstance(one.get("type"), str) and "properties" not in one for one in choices):
			yield _question(choices[0], path, False, None)
		return
	values = tuple(found[1] for found in constants if found)
	selector = f"{path}.{name}"
	yield Question(selector, label=path, choices=values, default=values[0], required=True)
	for choice, found in zip(choices, constants, strict=True):
		asked = _questions(choice, f"{path}.", (selector, found[1]) if found else None, depth + 1)
		yield from (question for question in asked if question.name != selector)


def _constant(choice: Mapping[str, Any]) -> tuple[str, Any] | None:
	properties = choice.get("properties")
	for name, one in properties.items() if isinstance(properties, Mapping) else ():
		if isinstance(one, Mapping) and (
			"const" in one or (isinstance(one.get("enum"), list) and len(one["enum"]) == 1)
		):
			return str(name), one["const"] if "const" in one else one["enum"][0]
	return None


def _question(one: Mapping[str, Any], path: str, required: bool, when: Any) -> Question:
	examples = one.get("examples")
	choices = one.get("enum")
	return Question(
		path,
		label=str(one.get("title") or path)[:140],
		description=str(one.get("description") or "")[:1000],
		kind=_kind(one.get("type")),
		secret=bool(one.get("airbyte_secret"))
		or (not choices and is_named_secret(path, _kind(one.get("type")))),
		required=required,
		default=one.get("const", one.get("default")),
		example=examples[0] if isinstance(examples, list) and examples else examples or None,
		choices=tuple(choices) if isinstance(choices, list) else (),
		when=when,
	)


def is_named_secret(path: str, kind: str = "string") -> bool:
	"""Tell whether an answer's name says that it is a secret, where the manifest does not."""
	name = path.rpartition(".")[2].lower()
	return kind == "string" and says_secret(name) and not name.endswith(_PLAIN_ENDS)


_PLAIN_ENDS = ("url", "type", "name", "_id", "endpoint", "domain", "uri", "path", "method", "expiry_date")


def _kind(found: Any) -> str:
	kinds = found if isinstance(found, list) else [found]
	return next((kind for kind in kinds if kind in _KINDS), "string")


def asked(questions: list[Question], answers: Mapping[str, Any]) -> list[Question]:
	"""Return the questions that are left to ask, of the alternatives that were chosen, choices first."""
	return [question for question in questions if _holds(question, questions, answers)]


def _holds(question: Question, questions: list[Question], answers: Mapping[str, Any]) -> bool:
	if not question.when:
		return True
	selector, value = question.when
	default = next((one.default for one in questions if one.name == selector), None)
	return str(answers.get(selector, default)) == str(value)


def config_of(questions: list[Question], answers: Mapping[str, Any]) -> dict[str, Any]:
	"""Return the configuration that answers give, as a manifest reads it: defaults where nothing was answered."""
	config: dict[str, Any] = {}
	for question in asked(questions, answers):
		value = answers.get(question.name, question.default)
		if value is not None and value != "" and not question.secret:
			_put(config, question.name.split("."), value)
	known = {question.name for question in questions}
	for name, value in answers.items():
		if name not in known:  # a manifest without a spec
			_put(config, name.split("."), value)
	return config


def _put(config: dict[str, Any], path: list[str], value: Any) -> None:
	*above, last = path
	for name in above:
		config = config.setdefault(name, {})
		if not isinstance(config, dict):
			return
	config[last] = value
