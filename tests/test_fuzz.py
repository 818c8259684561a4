"""Whatever comes from outside: no unhandled exception, no fetch without an end, no hang.

`HYPOTHESIS_PROFILE=long pytest tests/test_fuzz.py` tries a hundred times as much.
"""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from email.utils import format_datetime

import pytest
import redis
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from fuzz.targets import SEEDS, TARGETS
from integration_hub.connectors import errors, rest
from integration_hub.connectors.bounded_jmespath import path_problem
from integration_hub.connectors.oauth2 import OAuth2Connector, Token
from integration_hub.connectors.pages import ListRequest
from integration_hub.connectors.pagination import PAGINATIONS
from integration_hub.connectors.rate_limit_headers import pause_asked
from integration_hub.connectors.redact import Redactor
from integration_hub.connectors.rest import OAuth2RestConnector, RestConnector
from integration_hub.connectors.retry import retry_after
from integration_hub.queues.consumer import consumer_for
from integration_hub.stores.database import in_transaction
from integration_hub.sync.config import FieldMapping, StreamConfig
from integration_hub.sync.conversions import CONVERSIONS
from integration_hub.sync.mapping import Mapper, MappingError
from integration_hub.sync.page_writer import PageWriter
from integration_hub.sync.run import load_stream, run_stream
from integration_hub.sync.times import parse_time, utc_text, utc_text_of
from integration_hub.webhooks import rejections
from integration_hub.webhooks.receiver import receiver
from integration_hub.webhooks.schemes import SCHEMES, BadSignature
from tests import hostile_bodies
from tests.canned_responses import Answer, Canned, connector
from tests.marking import begin
from tests.scheme_secrets import secret_for
from tests.test_connectors import Memory
from tests.test_schemes import URL as ENDPOINT
from tests.test_schemes import verify

QUEUE = "crm_events"


@pytest.fixture
def runtime(make_runtime):
	"""The standalone runtime, without waiting for the disk."""
	runtime = make_runtime()
	runtime.db.execute("PRAGMA synchronous = OFF")
	return runtime


numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 10**30, 2**63, 1e300, -0.0])
texts = st.text(max_size=30) | st.sampled_from(["", "0", "2026-01-01T00:00:00Z", "\x00", "ünï", "1e999"])
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
	scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=6
)
links = texts | st.sampled_from(
	[
		"/next",
		"x/",
		"?page=2",
		"http://crm.example/2",
		"http://evil.example/",
		"//evil",
		"http://[",
		":",
		"http://crm.example:99999/",
	]
)
records = st.dictionaries(st.sampled_from(["id", "name", "city", "updated_at", "credit_limit"]), values)
pages = st.fixed_dictionaries(
	{},
	optional={
		"data": st.lists(records, max_size=3) | values,
		"changes": st.lists(st.fixed_dictionaries({"record": records}), max_size=3) | values,
		"next": links | values,
		"next_cursor": links | values,
		"has_more": values,
	},
)
# What JSON allows and what Python makes of it are not the same: NaN and Infinity are written, as some servers do.
bodies = (
	pages.map(lambda page: json.dumps(page).encode())
	| values.map(lambda v: json.dumps(v).encode())
	| st.binary(max_size=50)
	| st.sampled_from(hostile_bodies.BODIES)
)
waits = (
	texts
	| st.integers(-5, 10**12).map(str)
	| st.datetimes(timezones=st.timezones()).map(format_datetime)
	| st.sampled_from(["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "1.5", "٣"])
)
header_texts = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30)
headers = st.fixed_dictionaries(
	{},
	optional={
		"Retry-After": waits,
		"Link": links.map(lambda link: f'<{link}>; rel="next"') | header_texts,
		"Location": links,
		"Content-Type": header_texts,
		"Content-Length": header_texts | st.integers(0, 100).map(str),
		"Content-Encoding": st.sampled_from(["gzip", "br", "identity", "deflate, gzip", "x"]),
		"X-RateLimit-Remaining": header_texts | st.just("0"),
		"X-RateLimit-Reset": waits,
		"RateLimit": header_texts,
		"Set-Cookie": header_texts,
	},
)
statuses = st.sampled_from(
	[200, 200, 200, 200, 201, 204, 206, 301, 302, 304, 400, 401, 404, 410, 418, 429, 500, 501, 503, 599]
)
answers = st.lists(st.builds(Answer, statuses, headers, bodies), min_size=1, max_size=5)


def lists(kind: str, lanes: int = 1) -> ListRequest:
	options = {
		"page_size": 3,
		"page_size_param": "limit",
		"page_param": "",
		"cursor_path": "",
		"more_path": "",
	}
	return ListRequest("/list", records_path="data", pagination={"kind": kind, **options}, lanes=lanes)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
	monkeypatch.setattr(rest, "MAX_EMPTY", 20)


@pytest.mark.parametrize("kind", PAGINATIONS)
@given(answers=answers, lanes=st.sampled_from([1, 3]))
@example(
	answers=[Answer(200, {"Link": '<http://[>; rel="next"'}, b'{"data": [], "next": "http://["}')], lanes=1
)
@example(answers=[Answer(200, {"Link": '<x/>; rel="next"'}, b'{"data": [], "next": "x/"}')], lanes=1)
@example(answers=[Answer(302, {"Location": "http://["})], lanes=1)
def test_any_answers_are_records_or_a_declared_error_and_come_to_an_end(kind, answers, lanes):
	adapter = Canned(answers)
	with connector(RestConnector, adapter, Memory()) as client:
		with suppress(errors.ConnectorError):
			for page in client.pages(lists(kind, lanes)):
				assert all(isinstance(record, dict) for record in page.records)


@pytest.mark.parametrize("stream", ["customers-full", "customers-incremental", "customers-cursor"])
@given(answers=answers)
def test_any_answers_end_a_run_as_one_of_its_ends(runtime, stream, answers):
	runtime.connector = lambda _: connector(RestConnector, Canned(answers), Memory())
	row = run_stream(runtime, stream)
	assert row["status"] in ("Completed", "Partial", "Failed", "Postponed", "Needs Approval")


_MB = 1024 * 1024


@pytest.mark.parametrize("bomb", hostile_bodies.BOMBS)
@pytest.mark.parametrize("auth", ["None", "OAuth2 Client Credentials"])
def test_what_a_source_packs_into_little_takes_no_more_memory_than_an_answer_may(bomb, auth):
	"""A list's page, or a token endpoint's answer, that unpacks to hundreds of megabytes."""
	adapter = Canned([Answer(200, *hostile_bodies.BOMBS[bomb])])
	options = {"auth_type": auth, "token_url": "http://crm.example/token", "client_id": "x"}
	tracemalloc.start()
	try:
		kind = RestConnector if auth == "None" else OAuth2RestConnector
		with connector(kind, adapter, Memory(client_secret="c"), max_response_mb=1, **options) as client:
			with pytest.raises(errors.ConnectorError):
				list(client.pages(lists("Page Number")))
		assert tracemalloc.get_traced_memory()[1] < 40 * _MB
	finally:
		tracemalloc.stop()


@pytest.mark.parametrize("kind", PAGINATIONS)
def test_pages_that_never_end_take_no_more_memory_the_longer_they_go_on(kind, monkeypatch):
	"""A source whose pages lead on for ever, each with a next page and other records."""
	monkeypatch.setattr(rest, "MAX_PAGES", 200)
	adapter = _Endless()
	with connector(RestConnector, adapter, Memory()) as client:
		pages_of, peaks = client.pages(lists(kind)), []
		tracemalloc.start()
		try:
			with suppress(errors.MalformedAnswer):
				for number, _ in enumerate(pages_of, 1):
					if number % 50 == 0:
						peaks.append(tracemalloc.get_traced_memory()[1])
						tracemalloc.reset_peak()
		finally:
			tracemalloc.stop()
	if len(peaks) > 1:  # others see an end
		assert peaks[-1] < peaks[0] + 2 * _MB


class _Endless(Canned):
	"""Another full page each time, with whatever it is that a next page is read from."""

	def __init__(self):
		super().__init__([], most=10_000)

	def send(self, request, **options):
		number = self.asked
		page = {
			"data": [{"id": f"{number}-{n}", "name": "x" * 1000} for n in range(3)],
			"next": f"/list?page={number}",
			"next_cursor": f"c{number}",
			"has_more": True,
		}
		link = {"Link": f'</list?page={number}>; rel="next"'}
		self.answers = [Answer(200, link, json.dumps(page).encode())]
		return super().send(request, **options)


tokens = st.fixed_dictionaries(
	{},
	optional={
		"access_token": values,
		"token_type": values,
		"expires_in": values,
		"refresh_token": values,
		"scope": values,
		"error": values,
		"error_description": values,
	},
)
token_bodies = tokens.map(lambda token: json.dumps(token).encode()) | bodies


@pytest.mark.parametrize("grant", ["Client Credentials", "Refresh Token"])
@given(answer=st.builds(Answer, statuses, headers, token_bodies), status=st.sampled_from([200, 401]))
def test_any_answer_of_a_token_endpoint_is_a_token_or_a_declared_error(grant, answer, status):
	class Endpoint(Canned):
		def send(self, request, **options):
			self.answers = [answer if request.url.endswith("/token") else Answer(status, {}, b"{}")]
			return super().send(request, **options)

	secrets = Memory(client_secret="c", refresh_token="r")
	options = {"auth_type": f"OAuth2 {grant}", "token_url": "http://crm.example/token", "client_id": "x"}
	with connector(OAuth2Connector, Endpoint([]), secrets, **options) as client:
		try:
			client.get("/me")
		except errors.ConnectorError:
			return
	assert Token.loads(secrets.get("oauth_token")).fresh(client._seed())


@given(text=texts | values.map(json.dumps))
def test_a_stored_token_that_is_none_is_none(text):
	token = Token.loads(text)
	assert token is None or token.fresh("") in (True, False)


@given(value=waits, status=statuses, more=headers)
@example(value="0", status=200, more={"X-RateLimit-Remaining": "0\x1c"})  # blank to strip, and not to int
def test_a_wait_is_none_or_a_number_of_seconds(value, status, more):
	seconds = retry_after(value)
	assert seconds is None or 0 <= seconds <= 7 * 24 * 3600
	assert 0 <= pause_asked({"Retry-After": value, **more}, status) <= 24 * 3600


@given(value=waits)
@example(value="Fri, 31 Dec 9999 23:59:59 -2359")
@example(value="9" * 300)
def test_any_wait_that_is_asked_for_can_be_kept(runtime, value):
	runtime.connector = lambda _: connector(
		RestConnector, Canned([Answer(503, {"Retry-After": value})]), Memory()
	)
	assert run_stream(runtime, "customers-full")["status"] in ("Failed", "Postponed")


paths = (
	st.text("abid.[]*?|&@'`\"0:{}()!<>= ,-\\", max_size=25)
	| st.text(max_size=10)
	| st.sampled_from(
		["(" * 3000, "[" * 3000, "a" + ".a" * 3000, "!" * 3000 + "a", "a" + "[0]" * 3000, "`" + "[" * 3000]
	)
	| st.sampled_from(
		[
			"sort(@)",
			"max(@)",
			"sum(*)",
			"avg(id)",
			"join(',', @)",
			"sort_by(@, &id)",
			"to_number(id)",
			"abs(name)",
			"map(&id, @)",
			"merge(@, id)",
			"keys(@)",
			"reverse(id)",
			"ceil(id)",
			"length(id)",
			"id[?a > `1`]",
			"[::0]",
		]
	)
)


@given(path=paths, record=records | st.dictionaries(texts, values))
def test_any_path_is_refused_or_looked_up(path, record):
	if path_problem(path):
		return
	mapping = (FieldMapping(source_path=path, field="name"),)
	stream = StreamConfig("s", id_path=path, updated_at_path=path, deleted_path=path, mapping=mapping)
	mapper = Mapper(stream, lambda moment: moment.isoformat())
	for read in (
		mapper.external_id,
		mapper.source_time,
		mapper.is_deleted,
		lambda r: mapper.map(r, external_id="x"),
	):
		with suppress(MappingError):
			read(record)


@given(
	conversion=st.sampled_from(CONVERSIONS),
	argument=texts | st.sampled_from(["a=b", "*=x", "Asia/Kolkata"]),
	value=values,
)
def test_any_value_is_converted_or_does_not_fit(conversion, argument, value):
	mapping = (FieldMapping("value", "field", conversion, argument),)
	with suppress(MappingError):
		mapper = Mapper(StreamConfig("s", mapping=mapping), lambda moment: moment.isoformat())
		mapper.map({"value": value}, deleted=False, external_id="x")


@given(records=st.lists(records, max_size=8))
def test_any_records_are_written_or_kept_as_failed(runtime, records):
	stream = load_stream(runtime, "customers-full")
	writer = PageWriter(runtime, stream, Redactor(), mark=begin(runtime, stream.name), operation="Sync")
	counts = in_transaction(runtime.db, lambda: writer.write(records))
	told = counts.created + counts.updated + counts.unchanged + counts.failed
	assert told <= counts.fetched == len(records)


messages = (
	st.binary(max_size=40)
	| bodies
	| st.fixed_dictionaries({}, optional={"id": values, "type": values, "data": values, "key": values}).map(
		lambda message: json.dumps(message).encode()
	)
)


@pytest.fixture
def queue(make_runtime, redis_url):
	client = redis.from_url(redis_url)
	client.flushall()
	return make_runtime(redis_url=redis_url), client


@given(sent=st.lists(messages, min_size=1, max_size=5), foreign=st.binary(max_size=10))
def test_any_message_of_a_list_is_an_event_or_a_dead_letter(queue, sent, foreign):
	runtime, client = queue
	client.lpush(QUEUE, *sent)
	client.lpush(f"{QUEUE}:processing:consumer", foreign)  # by whatever client
	before = client.llen(f"{{{QUEUE}}}:dead")
	done = consumer_for(runtime, "crm").drain()
	assert done.total == len(sent) + 1
	assert client.llen(f"{{{QUEUE}}}:dead") - before == done.unreadable
	assert client.llen(QUEUE) + client.llen(f"{QUEUE}:processing:consumer") == 0


fields = st.dictionaries(st.binary(min_size=1, max_size=5), messages, min_size=1, max_size=3)


@given(sent=st.lists(fields, min_size=1, max_size=4))
def test_any_entry_of_a_stream_is_an_event_or_a_dead_letter(stream_queue, sent):
	runtime, client = stream_queue
	for entry in sent:
		client.xadd(QUEUE, entry)
	before = client.llen(f"{{{QUEUE}}}:dead")
	done = consumer_for(runtime, "crm").drain()
	assert done.total == len(sent)
	assert client.llen(f"{{{QUEUE}}}:dead") - before == done.unreadable
	assert client.xpending(QUEUE, "integration_hub")["pending"] == 0


@pytest.fixture
def stream_queue(make_runtime, redis_url):
	client = redis.from_url(redis_url)
	client.flushall()
	return make_runtime(("queue_name =", 'queue_kind = "Stream"\nqueue_name ='), redis_url=redis_url), client


# Headers that look like those of a sender, so that more than the first check is reached.
stamps = st.integers(-(10**25), 10**25).map(str) | texts
proofs = texts | st.sampled_from(["v1,", "v1a,AA==", "0" * 64, "é" * 64, "AA==", "v1,AA== v1,AA=="])
likely = st.fixed_dictionaries(
	{
		"stripe-signature": st.lists(
			st.builds("{}={}".format, st.sampled_from(["t", "v1", "v0", ""]), stamps | proofs), max_size=4
		).map(",".join),
		"x-slack-request-timestamp": stamps,
		"x-slack-signature": proofs.map(lambda proof: f"v0={proof}"),
		"webhook-id": texts,
		"webhook-timestamp": stamps,
		"webhook-signature": st.lists(proofs, max_size=3).map(" ".join),
		"x-hub-signature-256": proofs.map(lambda proof: f"sha256={proof}"),
		"x-webhook-signature": proofs,
		"x-shopify-hmac-sha256": proofs,
		"x-frappe-webhook-signature": proofs,
		"x-twitter-webhooks-signature": proofs.map(lambda proof: f"sha256={proof}"),
		"x-twilio-signature": proofs,
		"authorization": proofs.map(lambda proof: f"Basic {proof}") | proofs,
		"content-type": st.sampled_from(["application/json", "application/x-www-form-urlencoded"]) | texts,
	}
)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.binary(max_size=200))
def test_the_targets_of_the_guided_fuzzer_let_nothing_out(target, data):
	for seed in SEEDS[target]:
		TARGETS[target](seed)
		TARGETS[target](seed + data)
	TARGETS[target](data)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@given(headers=likely, body=bodies, url=st.just(ENDPOINT) | st.just(f"{ENDPOINT}?bodySHA256=x") | texts)
def test_no_signature_that_was_guessed_is_taken_and_none_is_an_error(scheme, headers, body, url):
	with pytest.raises(BadSignature):
		verify(scheme, headers, body, secret_for(scheme), url=url)


@given(
	path=st.just("/webhooks/crm") | st.text(max_size=30).map(lambda text: f"/webhooks/{text}"),
	method=st.sampled_from(["POST", "GET", "PUT", "X"]),
	body=bodies,
	length=st.none() | header_texts | st.integers(-1, 10**12).map(str),
	more=likely,
)
def test_any_request_to_the_receiver_gets_a_declared_answer(runtime, path, method, body, length, more):
	rejections._causes.clear()
	environ = EnvironBuilder(path="/", method="POST", data=body).get_environ()
	environ |= {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1")}
	environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in more.items()}
	environ |= {} if length is None else {"CONTENT_LENGTH": length}
	told: list[str] = []
	receiver(lambda: _Kept(runtime))(environ, lambda status, headers: told.append(status))
	assert told[0][:3] in ("200", "202", "400", "401", "404", "405", "413", "415"), told


class _Kept:
	"""A runtime that stays open."""

	def __init__(self, runtime):
		self.runtime = runtime

	def __enter__(self):
		return self.runtime

	def __exit__(self, *_):
		return


@given(
	secret=st.text(min_size=8, max_size=40),
	before=st.text(max_size=60),
	after=st.text(max_size=60),
	limit=st.none() | st.integers(1, 120),
)
def test_a_known_secret_never_shows_wherever_it_is_cut(secret, before, after, limit):
	shown = Redactor([secret]).text(f"{before}{secret}{after}", limit)
	if secret not in f"{before}{after}[redacted]…":
		assert secret not in shown


@pytest.mark.parametrize(
	"piece",
	[
		"a",
		'"',
		"'",
		"\\",
		" ",
		"a.",
		"token",
		"token=",
		'token="',
		"token='",
		"://",
		"token-",
		"x@",
		"secret: ",
	],
)
def test_a_long_text_is_masked_in_a_time_that_grows_with_its_length_alone(piece):
	"""An error page of a third of a megabyte: squared, this would take days."""
	assert Redactor(["hunter22"]).text(piece * (300_000 // len(piece)))
	assert len(Redactor(["hunter22"]).text(piece * (300_000 // len(piece)), 500)) <= 501


_NEARLY_TIMES = st.one_of(
	st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='microseconds')}Z"),
	st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z"),
	st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='seconds')}Z"),
	st.from_regex(
		r"[0-9W]{4}[-0-9][0-9W]{2}-[0-9]{1,2}[T ,][0-9]{2}:?[0-9]{2}:?[0-9]{2}[.,Z+][0-9Z:]{0,8}",
		fullmatch=True,
	),
	st.text("0123456789-:.TZ+W, ", min_size=20, max_size=27),
)


@given(_NEARLY_TIMES)
@example("2026-W01-1T00:00:00Z")
@example("2026-01-01T00:00:00,123Z")
@example("2026-02-30T00:00:00Z")
@example("2026-01-01T24:00:00Z")
@example("2026-01-01T00:00:60Z")
@example("2026-01-01T00:00+01:00:00Z")
def test_the_quick_way_to_read_a_time_is_the_slow_one(text):
	try:
		slow = utc_text(parse_time(text))
	except ValueError:
		slow = None
	try:
		assert utc_text_of(text) == slow
	except ValueError:
		assert slow is None
