"""No network within a page's transaction: Frappe asks Gravatar for the picture of each Contact it saves.

It asks where a Contact has an email address and no image, and no flag of one document keeps it from that: those that
do (`in_import`, `in_install`, `in_test`) change what else a save checks, for all documents. So the image is there while
Contact.validate looks, and gone before anything is stored; also for Contacts that other controllers make.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import frappe

_WRITING, _IMAGE = "integration_hub_writing", "integration_hub_image"


@contextmanager
def without_gravatar() -> Iterator[None]:
	"""Have Contacts that are saved within the block ask nobody."""
	before = frappe.flags.get(_WRITING)
	frappe.flags[_WRITING] = True
	try:
		yield
	finally:
		frappe.flags[_WRITING] = before


def hold_image(doc: Any, method: str | None = None) -> None:
	"""Put an image where none is, before a Contact is validated. A person's own save is left alone."""
	if frappe.flags.get(_WRITING) and not doc.image:
		doc.flags[_IMAGE] = (doc.image,)
		doc.image = "/"


def release_image(doc: Any, method: str | None = None) -> None:
	"""Take it away again, once Contact.validate is through."""
	if held := doc.flags.pop(_IMAGE, None):
		[doc.image] = held
