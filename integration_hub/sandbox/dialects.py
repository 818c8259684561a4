"""The sandbox's customers and their invoices as other kinds of APIs tell them: GraphQL, a search, files, child lists."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from integration_hub.sandbox.calls import BadQuery, Call, Reply
from integration_hub.sandbox.crm import CRM
from integration_hub.sandbox.data import Customer

LONGEST_WINDOW = timedelta(days=31)
MOST_INVOICES = 4  # a customer


def invoices(customer: Mapping[str, Any]) -> list[dict[str, Any]]:
	"""Return a customer's invoices, none to four. They depend on nothing but the customer's id and its last change."""
	number = int(customer["id"][5:])
	return [
		{
			"id": f"{customer['id']}-{line}",
			"customer": customer["id"],
			"amount": round(float(customer["credit_limit"] or 0) / line, 2),
			"date": f"2025-{(number * line) % 12 + 1:02d}-{(number + line) % 28 + 1:02d}",
			"updated_at": customer["updated_at"],
		}
		for line in range(1, number % (MOST_INVOICES + 1) + 1)
	]


def all_invoices(crm: CRM) -> list[dict[str, Any]]:
	"""Return the invoices of all customers that live, by date and id."""
	found = [invoice for customer in crm.customers.alive() for invoice in invoices(customer)]
	return sorted(found, key=lambda one: (one["date"], one["id"]))


def answer_dialect(crm: CRM, call: Call) -> Reply | None:
	"""Answer a call to one of these paths; None for another. Raises BadQuery."""
	parts = call.path.strip("/").split("/")
	if len(parts) == 4 and parts[:2] == ["v1", "customers"] and parts[3] == "invoices":
		return _invoices_of(crm, call, parts[2])
	handle = PATHS.get((call.method, call.path))
	return handle(crm, call) if handle else None


def _graphql(crm: CRM, call: Call) -> Reply:
	"""Answer a connection `customers`: its variables are first, after and updatedSince."""
	variables = _object(call).get("variables") or {}
	rows = crm.customers.select(str(variables.get("updatedSince") or ""))
	start, size = _position(variables.get("after")), _size(variables.get("first", 100))
	nodes = rows[start : start + size]
	info = {"endCursor": str(start + len(nodes)), "hasNextPage": start + size < len(rows)}
	return Reply(200, {"data": {"customers": {"nodes": nodes, "pageInfo": info, "totalCount": len(rows)}}})


def _search(crm: CRM, call: Call) -> Reply:
	"""Answer a search whose filter, size and place are in the body, with the next place under paging.next.after."""
	body = _object(call)
	rows = crm.customers.select(str(body.get("modified_since") or ""), bool(body.get("include_deleted")))
	start, size = _position(body.get("after")), _size(body.get("limit", 100))
	more = start + size < len(rows)
	paging = {"paging": {"next": {"after": str(start + size)}}} if more else {}
	return Reply(200, {"results": rows[start : start + size], "total": len(rows), **paging})


def _counted(crm: CRM, call: Call) -> Reply:
	"""Answer a bare list by page, with the count of all in a header; behind the last page 404."""
	rows = crm.customers.select(call.query.get("modified_since", ""))
	size, page = _size(call.query.get("limit", 100)), _position(call.query.get("page", 1))
	if page < 1 or (page > 1 and (page - 1) * size >= len(rows)):
		return Reply(404, {"error": "there is no such page"})
	return Reply(200, rows[(page - 1) * size : page * size], {"X-Total-Count": str(len(rows))})


def _invoices_of(crm: CRM, call: Call, id: str) -> Reply:
	"""Answer the invoices of one customer, two a page; 404 for one that is gone."""
	customer = crm.customers.get(id)
	if not customer or customer["deleted"]:
		return Reply(404, {"error": "there is no such customer"})
	found, start = invoices(customer), _position(call.query.get("offset", 0))
	return Reply(200, {"data": found[start : start + 2], "total": len(found)})


def _by_date(crm: CRM, call: Call) -> Reply:
	"""Answer the invoices of at least `from` and before `to`, at most 31 days apart."""
	first, last = _day(call, "from"), _day(call, "to")
	if not first < last <= first + LONGEST_WINDOW:
		raise BadQuery("to must be behind from, by 31 days at most")
	found = [one for one in all_invoices(crm) if str(first.date()) <= one["date"] < str(last.date())]
	return Reply(200, {"data": found})


def _session(crm: CRM, call: Call) -> Reply:
	"""Answer a login with a token, which the header X-Session takes until it expires."""
	given = _object(call)
	token = crm.tokens.log_in(str(given.get("user")), str(given.get("password")))
	return Reply(200, {"session": {"token": token}}) if token else Reply(401, {"error": "unauthorized"})


def _csv(crm: CRM, call: Call) -> Reply:
	delimiter = call.query.get("delimiter", ",")
	if len(delimiter) != 1:
		raise BadQuery("delimiter must be one character")
	rows = crm.customers.alive()
	out = io.StringIO()
	writer = csv.DictWriter(out, list(rows[0]) if rows else ["id"], delimiter=delimiter)
	writer.writeheader()
	writer.writerows(rows)
	return _file(call, out.getvalue(), "text/csv; charset=utf-8")


def _ndjson(crm: CRM, call: Call) -> Reply:
	text = "".join(f"{json.dumps(row)}\n" for row in crm.customers.alive())
	return _file(call, text, "application/x-ndjson")


def _xml(crm: CRM, call: Call) -> Reply:
	root = ElementTree.Element("customers", {"count": str(len(crm.customers.alive()))})
	for row in crm.customers.alive():
		_element(root, row)
	text = ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
	return _file(call, text, "application/xml")


def _element(root: ElementTree.Element, row: Customer) -> None:
	one = ElementTree.SubElement(root, "customer", {"id": row["id"]})
	for name, value in row.items():
		ElementTree.SubElement(one, name).text = str(value)


def _file(call: Call, text: str, kind: str) -> Reply:
	"""Return a file as it is, or gzipped where `gzip=1` asks for it."""
	data = text.encode()
	if call.query.get("gzip") == "1":
		return Reply(200, gzip.compress(data), {"Content-Type": "application/gzip"})
	return Reply(200, data, {"Content-Type": kind})


def _object(call: Call) -> dict[str, Any]:
	try:
		found = call.json()
	except ValueError:
		found = None
	if not isinstance(found, dict):
		raise BadQuery("the body must be a JSON object")
	return found


def _position(given: Any) -> int:
	text = str(given or 0)
	if not (text.isascii() and text.isdigit()):
		raise BadQuery(f"{text!r} is not one of our positions")
	return int(text)


def _size(given: Any) -> int:
	size = _position(given)
	if not 1 <= size <= 1000:
		raise BadQuery("a page has 1 to 1000 records")
	return size


def _day(call: Call, name: str) -> datetime:
	try:
		return datetime.strptime(call.query.get(name, ""), "%Y-%m-%d")
	except ValueError:
		raise BadQuery(f"{name} must be a date") from None


PATHS: Mapping[tuple[str, str], Callable[[CRM, Call], Reply]] = {
	("POST", "/v1/graphql"): _graphql,
	("POST", "/v1/search"): _search,
	("GET", "/v1/counted"): _counted,
	("GET", "/v1/invoices"): _by_date,
	("POST", "/v1/session"): _session,
	("GET", "/v1/export.csv"): _csv,
	("GET", "/v1/export.ndjson"): _ndjson,
	("GET", "/v1/export.xml"): _xml,
}


def paths() -> Iterable[str]:
	"""Return what can be asked for, as `METHOD /path`."""
	return [*(" ".join(one) for one in PATHS), "GET /v1/customers/ID/invoices"]
