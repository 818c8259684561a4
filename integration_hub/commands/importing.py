"""The commands that turn descriptions of APIs into settings: `import`, `convert`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from integration_hub.commands.base import opened, report_errors, say, site_of
from integration_hub.commands.group import integration_hub

_MOST_COMPLAINTS = 200


@integration_hub.group("import")
def import_group() -> None:
	"""Make integrations and streams of a description that another tool wrote, all of them switched off."""


@integration_hub.group("convert")
def convert_group() -> None:
	"""Print what a description becomes as hub.toml, and change nothing."""


def _answers(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
	"""Read `name=value`; raises BadParameter."""
	pairs = [one.partition("=") for one in given]
	if wrong := next((name for name, equals, _value in pairs if not equals), None):
		raise click.BadParameter(f"{wrong!r}: write name=value")
	return {name.strip(): value for name, _equals, value in pairs}


def _common(command: Callable) -> Callable:
	"""Add the options that all descriptions share."""
	for option in (
		click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False)),
		click.option("--name", default="", help="Name of the integration; without it, the file's."),
		click.option(
			"--answer",
			"answers",
			multiple=True,
			callback=_answers,
			help="name=value; may be repeated. No secrets.",
		),
		click.option(
			"--stream", "streams", multiple=True, help="Only this stream, and its parents; may be repeated."
		),
	):
		command = option(command)
	return command


@convert_group.command("manifest")
@_common
@report_errors
def convert_manifest_file(file: Path, name: str, answers: dict[str, str], streams: tuple[str, ...]) -> None:
	"""Print an Airbyte low-code manifest as hub.toml. What does not convert is said on stderr, line by line."""
	from integration_hub.importing.manifest.convert import convert_manifest

	_print(_proposal(convert_manifest, file, name, answers, streams))


@import_group.command("manifest")
@_common
@click.option("--yes", is_flag=True, help="Ask for no confirmation.")
@click.pass_context
@report_errors
def import_manifest_file(ctx: click.Context, file: Path, yes: bool, **given: Any) -> None:
	"""Make an integration and streams of an Airbyte low-code manifest, in hub.toml or on a site."""
	from integration_hub.importing.manifest.convert import convert_manifest

	_import(ctx, convert_manifest, file, yes, **given)


_operations = click.option(
	"--operation",
	"operations",
	multiple=True,
	help="Only this GET operation: its id or path; may be repeated.",
)


@convert_group.command("openapi")
@_common
@_operations
@report_errors
def convert_openapi_file(
	file: Path, name: str, answers: dict[str, str], streams: tuple[str, ...], operations: tuple[str, ...]
) -> None:
	"""Print an OpenAPI document as hub.toml: a stream for each GET operation that answers a list."""
	_print(_proposal(_openapi(operations), file, name, answers, streams))


@import_group.command("openapi")
@_common
@_operations
@click.option("--yes", is_flag=True, help="Ask for no confirmation.")
@click.pass_context
@report_errors
def import_openapi_file(
	ctx: click.Context, file: Path, yes: bool, operations: tuple[str, ...], **given: Any
) -> None:
	"""Make an integration and streams of an OpenAPI document, in hub.toml or on a site."""
	_import(ctx, _openapi(operations), file, yes, **given)


def _openapi(operations: tuple[str, ...]) -> Callable[..., Any]:
	from integration_hub.importing.openapi.convert import convert_openapi

	return partial(convert_openapi, operations=operations)


def _proposal(
	convert: Callable[..., Any], file: Path, name: str, answers: Mapping[str, str], streams: tuple[str, ...]
) -> Any:
	"""Return the proposal of a file; raises ClickException for one that is refused, or questions left open."""
	from integration_hub.importing.answering import chosen, read_answers, unanswered
	from integration_hub.importing.documents import ImportRefused

	text, name = _text(file), name or file.stem.removeprefix("source-")
	try:
		proposal = convert(text, name, read_answers(convert(text, name).questions, answers))
		given = read_answers(proposal.questions, answers)
		if missing := unanswered(proposal.questions, given):
			raise click.ClickException(
				"\n".join(("Answer these with --answer name=value:", *_asked(missing)))
			)
		if secret := next((one.name for one in proposal.questions if one.secret and one.name in given), None):
			raise click.ClickException(f"{secret} is a secret: it is not given on the command line")
		return chosen(convert(text, name, given), streams)
	except ImportRefused as error:
		raise click.ClickException(f"{file}: {error}") from None


def _text(file: Path) -> str:
	"""Return a file's text; raises ClickException."""
	from integration_hub.importing.documents import MOST_CHARACTERS

	try:
		if file.stat().st_size > 4 * MOST_CHARACTERS:
			raise click.ClickException(f"{file}: is longer than {MOST_CHARACTERS} characters")
		return file.read_text("utf-8-sig")
	except (OSError, UnicodeDecodeError) as error:
		raise click.ClickException(f"{file}: {error}") from None


def _asked(questions: list[Any]) -> Iterator[str]:
	for one in questions:
		choices = f" ({', '.join(map(str, one.choices))})" if one.choices else ""
		example = f", as {one.example}" if one.example else ""
		yield f"  {one.name}: {one.label}{choices}{example}"


def _print(proposal: Any) -> None:
	from integration_hub.importing.hub_toml_text import hub_toml_of

	_say_complaints(proposal)
	sys.stdout.write(hub_toml_of(proposal))


def _say_complaints(proposal: Any) -> None:
	for one in proposal.complaints[:_MOST_COMPLAINTS]:
		say(f"Not converted: {one}", err=True)
	if (more := len(proposal.complaints) - _MOST_COMPLAINTS) > 0:
		say(f"… and {more} more.", err=True)


def _import(ctx: click.Context, convert: Callable[..., Any], file: Path, yes: bool, **given: Any) -> None:
	"""Show what would be made, ask, and make it."""
	proposal = _proposal(convert, file, given["name"], given["answers"], given["streams"])
	_say_complaints(proposal)
	say(f"{len(proposal.streams)} streams, {len(proposal.complaints)} complaints.", err=True)
	for host in proposal.hosts:
		say(f"Requests and credentials go to {host}", err=True)
	if not yes:
		click.confirm("Make them?", abort=True, err=True)
	for line in _made(ctx, proposal):
		say(line)


def _secrets(proposal: Any) -> dict[str, dict[str, str]]:
	"""Return the values of Password fields: from the variables that hub.toml would name, else asked for, unseen."""
	from integration_hub.importing.hub_toml_text import variable_name
	from integration_hub.importing.manifest.secret_marks import secret_names, shown

	found: dict[str, dict[str, str]] = {}
	for integration, fields in proposal.secrets.items():
		for field, text in fields.items():
			variable = variable_name(integration, field)
			value = os.environ.get(variable) or ("" if secret_names(text) else text)
			asked = f"{variable}: {shown(text)}"
			found.setdefault(integration, {})[field] = value or click.prompt(asked, hide_input=True, err=True)
	return found


def _made(ctx: click.Context, proposal: Any) -> Iterator[str]:
	if site_of(ctx):
		from integration_hub.runtime.frappe.import_proposal import load_into_site

		with opened(ctx) as runtime:
			yield from load_into_site(runtime, proposal, _secrets(proposal))
		return
	from integration_hub.runtime.standalone.import_proposal import add_to_file

	yield from add_to_file(Path(ctx.meta["hub_config"]), proposal)
