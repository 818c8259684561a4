"""The sandbox's API: what each path answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlencode

from integration_hub.sandbox.access import API_KEY, CLIENT_ID, basic
from integration_hub.sandbox.calls import BadQuery, Call, Reply
from integration_hub.sandbox.crm import CRM
from integration_hub.sandbox.data import Customer
from integration_hub.sandbox.dialects import answer_dialect
from integration_hub.sandbox.list_quirks import MOODS


def answer(crm: CRM, call: Call) -> Reply:
	"""Answer a call: the API under /v1 with access control, budget and faults; the controls without."""
	if call.path == "/oauth/token":
		return crm.token(call)
	if call.path.startswith("/_sandbox/") and crm.takes_orders:
		return _control(crm, call)
	if call.path != "/v1/session" and not _allowed(crm, call):
		return Reply(401, {"error": "unauthorized"}, {"WWW-Authenticate": "Bearer"})
	wait, remaining = crm.budget.take()
	limits = {"X-RateLimit-Remaining": str(remaining)} if crm.budget.limit else {}
	if wait:
		limits["Retry-After"] = str(math.ceil(wait))
		return Reply(429, {"error": "too many requests"}, limits)
	try:
		reply = _api(crm, call)
	except BadQuery as error:
		reply = Reply(400, {"error": str(error)})
	reply.headers.update(limits)
	return reply


def _allowed(crm: CRM, call: Call) -> bool:
	authorization = call.headers.get("authorization", "")
	if call.headers.get("x-api-key") == API_KEY or call.query.get("api_key") == API_KEY:
		return True
	if basic(authorization) == (CLIENT_ID, API_KEY):
		return True
	if _signed(call) or crm.tokens.accepts(call.headers.get("x-session", "")):
		return True
	kind, _, token = authorization.partition(" ")
	return kind.lower() == "bearer" and (token == API_KEY or crm.tokens.accepts(token))


def _signed(call: Call) -> bool:
	"""Verify a signed request as connectors.request_signing describes it, in the sandbox's own words."""
	timestamp = call.headers.get("x-timestamp", "")
	if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 300:
		return False
	lines = [call.method, call.target, timestamp, hashlib.sha256(call.body).hexdigest()]
	expected = hmac.new(API_KEY.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
	return hmac.compare_digest(expected, call.headers.get("x-signature", ""))


def _api(crm: CRM, call: Call) -> Reply:
	parts = call.path.strip("/").split("/")
	if (told := answer_dialect(crm, call)) is not None:
		return told
	if call.path == "/v1/me":
		return Reply(200, {"name": "Sandbox CRM"})
	if call.path == "/v1/changes":
		return _changes(crm, call)
	if len(parts) >= 3 and parts[:2] == ["v1", "received"]:
		return crm.receive(parts[2]).answer(call, parts[3:])
	if call.path == "/v1/customers" and call.method == "POST":
		return _create(crm, call)
	if len(parts) == 3 and parts[:2] == ["v1", "customers"] and parts[2] in STYLES:
		rows = crm.customers.select(
			call.query.get("modified_since", ""), call.query.get("include_deleted") == "true"
		)
		if parts[2] == "page" and crm.mood:
			body, headers = MOODS[crm.mood](rows, _number(call, "page", 1, 1), _size(call))
			return Reply(200, body, headers)
		return STYLES[parts[2]](call, rows)
	if len(parts) == 3 and parts[:2] == ["v1", "customers"]:
		row = crm.customers.get(parts[2])
		return Reply(200, row) if row and not row["deleted"] else Reply(404, {"error": "not found"})
	if len(parts) == 2 and parts[1] in crm.lists:
		return Reply(200, {"data": crm.lists[parts[1]]})
	return Reply(404, {"error": "not found"})


def _create(crm: CRM, call: Call) -> Reply:
	"""Create a customer; the same Idempotency-Key again answers the first one."""
	key = call.headers.get("idempotency-key")
	with crm.pushed_lock:
		if key and key in crm.pushed:
			return Reply(200, crm.pushed[key])
		customer = crm.customers.create()[0]
		if key:
			crm.pushed[key] = customer
	return Reply(201, customer)


def _number(call: Call, name: str, default: int, least: int = 0, most: int = 10**9) -> int:
	text = call.query.get(name, str(default))
	if not (text.isascii() and text.isdigit()) or int(text) < least:
		raise BadQuery(f"{name} must be a number of at least {least}")
	return min(int(text), most)


def _size(call: Call) -> int:
	return _number(call, "limit", 100, 1, 1000)


def _page(call: Call, rows: Sequence[Customer]) -> Reply:
	size, page = _size(call), _number(call, "page", 1, 1)
	chosen = rows[(page - 1) * size : page * size]
	return Reply(200, {"data": chosen, "page": page, "has_more": page * size < len(rows)})


def _offset(call: Call, rows: Sequence[Customer]) -> Reply:
	size, offset = _size(call), _number(call, "offset", 0)
	return Reply(200, {"data": rows[offset : offset + size], "total": len(rows)})


def _cursor(call: Call, rows: Sequence[Customer]) -> Reply:
	size, start = _size(call), _start(call)
	more = start + size < len(rows)
	return Reply(
		200, {"data": rows[start : start + size], "next_cursor": _encode(start + size) if more else None}
	)


def _next(call: Call, rows: Sequence[Customer]) -> Reply:
	size, start = _size(call), _start(call)
	link = _link(call, start + size) if start + size < len(rows) else None
	return Reply(200, {"data": rows[start : start + size], "next": link})


def _link_header(call: Call, rows: Sequence[Customer]) -> Reply:
	size, start = _size(call), _start(call)
	headers = {"Link": f'<{_link(call, start + size)}>; rel="next"'} if start + size < len(rows) else {}
	return Reply(200, rows[start : start + size], headers)


STYLES: dict[str, Callable[[Call, Sequence[Customer]], Reply]] = {
	"page": _page,
	"offset": _offset,
	"cursor": _cursor,
	"next": _next,
	"link": _link_header,
}


def _changes(crm: CRM, call: Call) -> Reply:
	size, start = _size(call), _start(call) if call.query.get("cursor") else None
	try:
		changes, end = crm.customers.changes(start, size)
	except LookupError as error:
		return Reply(410, {"error": f"cursor has expired: {error}"})
	more = end < crm.customers.counts()["changes"]
	return Reply(200, {"changes": changes, "next_cursor": _encode(end), "has_more": more})


def _start(call: Call) -> int:
	cursor = call.query.get("cursor")
	if not cursor:
		return 0
	try:
		return int(base64.urlsafe_b64decode(cursor.encode()).decode().removeprefix("at:"))
	except ValueError:
		raise BadQuery("cursor is not one of ours") from None


def _encode(position: int) -> str:
	return base64.urlsafe_b64encode(f"at:{position}".encode()).decode()


def _link(call: Call, position: int) -> str:
	query = {**call.query, "cursor": _encode(position)}
	return f"http://{call.headers.get('host', 'localhost')}{call.path}?{urlencode(query)}"


def _control(crm: CRM, call: Call) -> Reply:
	"""Answer the controls of the sandbox itself, for demo and tests in other processes."""
	name = call.path.removeprefix("/_sandbox/")
	if name == "counts":
		return Reply(200, crm.counts())
	if name == "customers":
		return Reply(200, crm.customers.alive())
	if call.method != "POST":
		return Reply(404, {"error": "not found"})
	try:
		if name == "expire":
			return Reply(200, crm.customers.expire())
		if name == "change":
			return Reply(200, crm.change(**call.json()))
		if name == "mood":
			return Reply(200, {"mood": crm.be(**call.json())})
		if name == "faults":
			options = call.json()
			crm.faults.set(options.get("rates"), options.get("following", ()))
			return Reply(200, {"faults": options})
		if name == "webhooks":
			return Reply(200, crm.deliver(**call.json()))
	except (ValueError, TypeError) as error:
		return Reply(400, {"error": str(error)})
	return Reply(404, {"error": "not found"})
