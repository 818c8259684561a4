"""Servers in the shape of the APIs of docs/recipes.md: what they ask for, refuse and answer, as their documents say."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass
class Asked:
	"""A request as a server sees it."""

	url: str
	method: str
	path: str
	query: dict[str, str]
	headers: Mapping[str, str]
	body: Any


@dataclass
class Thing:
	"""A record: its title, the time of its last change and whether it is gone."""

	id: int
	title: str
	changed: datetime
	gone: bool = False


class Refused(Exception):
	"""Refusal of a request, with the status and the body to answer it with."""

	def __init__(self, status: int, body: Any) -> None:
		self.answer = (status, {}, body)


@dataclass
class Api:
	"""Records in the order of their ids, which change minute by minute."""

	things: dict[int, Thing] = field(default_factory=dict)
	minutes: int = 0

	def put(self, key: int, title: str) -> None:
		self.minutes += 1
		self.things[key] = Thing(key, title, START + timedelta(minutes=self.minutes))

	def delete(self, key: int) -> None:
		self.minutes += 1
		self.things[key].gone = True
		self.things[key].changed = START + timedelta(minutes=self.minutes)

	def since(self, moment: datetime | None, with_gone: bool = False) -> list[Thing]:
		return [
			one
			for one in sorted(self.things.values(), key=lambda one: one.id)
			if (with_gone or not one.gone) and (moment is None or one.changed >= moment)
		]

	def __call__(self, asked: Asked) -> Any:
		try:
			return self.answer(asked)
		except Refused as refused:
			return refused.answer

	def answer(self, asked: Asked) -> Any:
		raise NotImplementedError


def need(fact: Any, status: int = 400, body: Any = "") -> None:
	if not fact:
		raise Refused(status, body or {"error": "refused"})


def only(query: Mapping[str, str], *names: str) -> None:
	need(set(query) <= set(names), 400, {"error": f"unknown: {sorted(set(query) - set(names))}"})


def time_of(text: str | None, pattern: str = "") -> datetime | None:
	if not text:
		return None
	try:
		if pattern:
			return datetime.strptime(text, pattern).replace(tzinfo=timezone.utc)
		found = datetime.fromisoformat(text.replace("Z", "+00:00"))
	except ValueError:
		raise Refused(400, {"error": f"not a time: {text}"}) from None
	need(found.tzinfo, 400, {"error": "a time without a zone"})
	return found


def zulu(moment: datetime) -> str:
	return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def number(text: str, least: int, most: int) -> int:
	need(text.isdigit() and least <= int(text) <= most, 400, {"error": f"not within limits: {text}"})
	return int(text)


def bearer(asked: Asked) -> None:
	need(asked.headers.get("Authorization") == "Bearer T", 401)


def basic(asked: Asked) -> str:
	kind, _, code = asked.headers.get("Authorization", "").partition(" ")
	need(kind == "Basic", 401)
	return b64decode(code).decode()


def token(asked: Asked, **more: list[str]) -> dict[str, Any]:
	"""Answer a request for a token by client credentials (RFC 6749, section 4.4)."""
	need(basic(asked) == "CLIENT_ID:T", 401, {"error": "invalid_client"})
	need(asked.body == {"grant_type": ["client_credentials"], **more}, 400, {"error": "invalid_request"})
	return {"access_token": "T", "token_type": "Bearer", "expires_in": 1800}


class GitHub(Api):
	"""https://docs.github.com/rest/issues/issues: pull requests are issues; pages by the Link header."""

	def answer(self, asked: Asked) -> Any:
		bearer(asked)
		need(asked.path == "/repos/OWNER/REPO/issues", 404)
		only(asked.query, "state", "since", "per_page", "page")
		need(asked.query.get("state") == "all")
		size, page = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
		found = [self._issue(one) for one in self.since(time_of(asked.query.get("since")))]
		found.insert(
			1,
			{"id": 10**6, "title": "a pull request", "updated_at": zulu(START), "pull_request": {"url": "x"}},
		)
		rest = found[(page - 1) * size :]
		more = urlencode({**asked.query, "page": page + 1})
		link = f'<{asked.url}{asked.path}?{more}>; rel="next"' if len(rest) > size else ""
		return 200, {"Link": link} if link else {}, rest[:size]

	@staticmethod
	def _issue(one: Thing) -> dict:
		return {"id": one.id, "title": one.title, "updated_at": zulu(one.changed)}


class Shopify(Api):
	"""https://shopify.dev/docs/api/admin-rest/usage/pagination: page_info takes no other parameter but limit."""

	def answer(self, asked: Asked) -> Any:
		need(asked.headers.get("X-Shopify-Access-Token") == "T", 401)
		need(asked.path == "/orders.json", 404)
		query = asked.query
		if "page_info" in query:
			only(query, "page_info", "limit")
			query = dict(parse_qsl(query["page_info"])) | query
		else:
			only(query, "status", "updated_at_min", "limit")
			need(query.get("status") == "any")
		size, at = number(query["limit"], 1, 250), int(query.get("at", 0))
		found = self.since(time_of(query.get("updated_at_min")))[at:]
		info = urlencode({"at": at + size, "updated_at_min": query.get("updated_at_min", "")})
		link = f'<{asked.url}{asked.path}?{urlencode({"limit": size, "page_info": info})}>; rel="next"'
		orders = [
			{"id": one.id, "name": one.title, "updated_at": one.changed.isoformat()} for one in found[:size]
		]
		return 200, {"Link": link} if len(found) > size else {}, {"orders": orders}


class ShopifyGraphQL(Api):
	"""https://shopify.dev/docs/api/admin-graphql: a connection, searched by `updated_at:>='TIME'`."""

	def answer(self, asked: Asked) -> Any:
		need(asked.headers.get("X-Shopify-Access-Token") == "T", 401)
		need((asked.method, asked.path) == ("POST", "/graphql.json"), 404)
		variables = asked.body["variables"]
		need(set(variables) <= {"n", "after", "query"} and isinstance(variables["n"], int))
		search = variables.get("query")
		match = re.fullmatch(r"updated_at:>='(.+)'", search) if search else None
		need(match or not search)
		after = int(variables.get("after") or 0)
		found = [one for one in self.since(time_of(match[1] if match else None)) if one.id > after]
		page = found[: variables["n"]]
		nodes = [{"id": one.id, "title": one.title, "updatedAt": zulu(one.changed)} for one in page]
		info = {"endCursor": str(page[-1].id) if page else None, "hasNextPage": len(found) > len(page)}
		return {"data": {"products": {"nodes": nodes, "pageInfo": info}}}


class WordPressPages(Api):
	"""Pages as WordPress numbers them, with counts in X-WP-Total and X-WP-TotalPages."""

	def page_of(self, asked: Asked, found: list[dict]) -> Any:
		size = number(asked.query.get("per_page", "10"), 1, 100)
		page, pages = int(asked.query.get("page", 1)), -(-len(found) // size)
		need(page == 1 or page <= pages, 400, {"code": "rest_post_invalid_page_number"})
		counts = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(pages)}
		return 200, counts, found[(page - 1) * size : page * size]


class WooCommerce(WordPressPages):
	"""https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-products"""

	def answer(self, asked: Asked) -> Any:
		need(basic(asked) == "ck_KEY:T", 401)
		need(asked.path == "/products", 404)
		only(asked.query, "per_page", "page", "modified_after", "dates_are_gmt")
		moment = time_of(asked.query.get("modified_after"), "%Y-%m-%dT%H:%M:%S")
		stamp = "%Y-%m-%dT%H:%M:%S"
		found = [
			{"id": one.id, "name": one.title, "date_modified_gmt": one.changed.strftime(stamp)}
			for one in self.since(moment)
		]
		return self.page_of(asked, found)


class WordPress(WordPressPages):
	"""https://developer.wordpress.org/rest-api/reference/posts/"""

	def answer(self, asked: Asked) -> Any:
		need(basic(asked) == "editor:T", 401)
		need(asked.path == "/posts", 404)
		only(asked.query, "per_page", "page", "modified_after", "status", "orderby")
		moment = time_of(asked.query.get("modified_after"), "%Y-%m-%dT%H:%M:%S")
		found = [
			{"id": one.id, "title": {"rendered": one.title}, "modified_gmt": zulu(one.changed)[:-1]}
			for one in self.since(moment)
		]
		return self.page_of(asked, found)


class Stripe(Api):
	"""https://docs.stripe.com/api/pagination: `starting_after` is the last object's id."""

	def answer(self, asked: Asked) -> Any:
		bearer(asked)
		need(asked.path == "/customers", 404)
		only(asked.query, "limit", "starting_after")
		after = int(asked.query.get("starting_after", "cus_0")[4:])
		found = [one for one in self.since(None) if one.id > after]
		page = found[: number(asked.query.get("limit", "10"), 1, 100)]
		data = [{"id": f"cus_{one.id}", "name": one.title} for one in page]
		return {"object": "list", "data": data, "has_more": len(found) > len(page)}


class HubSpot(Api):
	"""https://developers.hubspot.com/docs/api/crm/search: the filter's value is milliseconds, the size at most 200."""

	def answer(self, asked: Asked) -> Any:
		bearer(asked)
		need((asked.method, asked.path) == ("POST", "/crm/v3/objects/contacts/search"), 404)
		body = asked.body
		[group] = body["filterGroups"]
		[one] = group["filters"]
		need(
			(one["propertyName"], one["operator"]) == ("lastmodifieddate", "GTE")
			and str(one["value"]).isdigit()
		)
		moment = datetime.fromtimestamp(int(one["value"]) / 1000, timezone.utc)
		found = sorted(self.since(moment), key=lambda one: one.changed)
		at = int(body.get("after", 0))
		page = found[at : at + number(str(body["limit"]), 1, 200)]
		results = [
			{"id": str(one.id), "updatedAt": zulu(one.changed), "properties": {"email": one.title}}
			for one in page
		]
		paging = {"paging": {"next": {"after": str(at + len(page))}}} if at + len(page) < len(found) else {}
		return {"total": len(found), "results": results, **paging}


class Xero(Api):
	"""https://developer.xero.com/documentation/api/accounting/contacts: times as /Date(…)/, changes by a header."""

	def answer(self, asked: Asked) -> Any:
		if asked.path == "/connect/token":
			return token(asked)
		bearer(asked)
		need(asked.headers.get("Xero-Tenant-Id"), 403)
		need(asked.path == "/Contacts", 404)
		only(asked.query, "page", "pageSize", "includeArchived")
		moment = time_of(asked.headers.get("If-Modified-Since"), "%Y-%m-%dT%H:%M:%S")
		size, page = number(asked.query["pageSize"], 1, 1000), int(asked.query["page"])
		found = self.since(moment, asked.query.get("includeArchived") == "true")
		contacts = [self._contact(one) for one in found[(page - 1) * size : page * size]]
		count = {"page": page, "pageSize": size, "pageCount": -(-len(found) // size), "itemCount": len(found)}
		return {"pagination": count, "Contacts": contacts}

	@staticmethod
	def _contact(one: Thing) -> dict:
		return {
			"ContactID": f"c-{one.id}",
			"Name": one.title,
			"ContactStatus": "ARCHIVED" if one.gone else "ACTIVE",
			"UpdatedDateUTC": f"/Date({int(one.changed.timestamp() * 1000)}+0000)/",
		}


class Notion(Api):
	"""https://developers.notion.com/reference/post-database-query: the cursor is in the body, null is refused."""

	def answer(self, asked: Asked) -> Any:
		bearer(asked)
		need(asked.headers.get("Notion-Version") == "2022-06-28")
		need((asked.method, asked.path) == ("POST", "/databases/DATABASE_ID/query"), 404)
		body = asked.body
		need(
			set(body) <= {"page_size", "start_cursor", "filter"} and body.get("start_cursor", "0") is not None
		)
		moment = time_of(body["filter"]["last_edited_time"]["on_or_after"])
		found, at = self.since(moment), int(body.get("start_cursor", "0"))
		page = found[at : at + number(str(body["page_size"]), 1, 100)]
		more = at + len(page) < len(found)
		return {
			"results": [self._page(one) for one in page],
			"has_more": more,
			"next_cursor": str(at + len(page)) if more else None,
		}

	@staticmethod
	def _page(one: Thing) -> dict:
		title = {"Name": {"title": [{"plain_text": one.title}]}}
		return {"id": str(one.id), "last_edited_time": one.changed.isoformat(), "properties": title}


class Salesforce(Api):
	"""https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta: queryAll, and the next records by a path."""

	def answer(self, asked: Asked) -> Any:
		if asked.path == "/services/oauth2/token":
			return token(asked)
		bearer(asked)
		start = "/services/data/v61.0/queryAll"
		if asked.path == start:
			match = re.fullmatch(
				r"SELECT .+ FROM Account WHERE SystemModstamp >= (\S+)", asked.query.get("q", "")
			)
			need(match and set(asked.query) == {"q"}, 400, [{"errorCode": "MALFORMED_QUERY"}])
			self.query, at = time_of(match[1]), 0
		else:
			at = int(asked.path.removeprefix(f"{start}/01g-"))
			need(not asked.query)
		found = self.since(self.query, with_gone=True)
		answer = {"totalSize": len(found), "done": at + 100 >= len(found)}
		answer["records"] = [self._account(one) for one in found[at : at + 100]]
		return answer if answer["done"] else answer | {"nextRecordsUrl": f"{start}/01g-{at + 100}"}

	@staticmethod
	def _account(one: Thing) -> dict:
		stamp = one.changed.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
		return {"Id": f"001{one.id}", "Name": one.title, "SystemModstamp": stamp, "IsDeleted": one.gone}


class Graph(Api):
	"""https://learn.microsoft.com/graph/delta-query-overview: next links, then a delta link; `@removed` marks."""

	def answer(self, asked: Asked) -> Any:
		if asked.path == "/TENANT/oauth2/v2.0/token":
			return token(asked, scope=["https://graph.microsoft.com/.default"])
		bearer(asked)
		need(asked.path == "/users/delta", 404)
		only(asked.query, "$select", "$skiptoken", "$deltatoken")
		after, at = int(asked.query.get("$deltatoken", -1)), 0
		if "$skiptoken" in asked.query:
			after, at = map(int, asked.query["$skiptoken"].split("."))
		moment = START + timedelta(minutes=after, seconds=1) if after >= 0 else None
		found = self.since(moment, with_gone=after >= 0)
		value = [self._user(one) for one in found[at : at + 100]]
		link = f"{asked.url}/users/delta?"
		if at + 100 < len(found):
			return {"value": value, "@odata.nextLink": f"{link}$skiptoken={after}.{at + 100}"}
		return {"value": value, "@odata.deltaLink": f"{link}$deltatoken={self.minutes}"}

	@staticmethod
	def _user(one: Thing) -> dict:
		key = {"id": f"u{one.id}"}
		return key | ({"@removed": {"reason": "changed"}} if one.gone else {"displayName": one.title})


class Redmine(Api):
	"""https://www.redmine.org/projects/redmine/wiki/Rest_Issues: offset and limit, `updated_on=>=TIME`."""

	def answer(self, asked: Asked) -> Any:
		need(asked.headers.get("X-Redmine-API-Key") == "T", 401)
		need(asked.path == "/issues.json", 404)
		only(asked.query, "status_id", "sort", "updated_on", "offset", "limit")
		since = asked.query.get("updated_on", "")
		need(not since or since.startswith(">="))
		found = self.since(time_of(since[2:]))
		at, size = int(asked.query.get("offset", 0)), min(int(asked.query.get("limit", 25)), 100)
		issues = [
			{"id": one.id, "subject": one.title, "updated_on": zulu(one.changed)}
			for one in found[at : at + size]
		]
		return {"issues": issues, "total_count": len(found), "offset": at, "limit": size}


def read_body(headers: Mapping[str, str], data: bytes) -> Any:
	"""Return a request's JSON, or its form as lists of values."""
	if "json" in headers.get("Content-Type", ""):
		return json.loads(data)
	return parse_qs(data.decode())
