"""The inbox's indexes have got other columns; those it had go."""

from integration_hub.integration_hub.doctype.webhook_log.webhook_log import on_doctype_update


def execute() -> None:
	"""Add and drop indexes as a site that is new has them."""
	on_doctype_update()
