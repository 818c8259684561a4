"""What a queue's server or its client says of a failure holds neither the password nor a message."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis

from integration_hub.queues.consumer import consumer_for
from integration_hub.queues.consumer_loop import ConsumerLoop
from integration_hub.queues.redacting_client import RedactingRedis, server_words
from integration_hub.stores.runtime import HubError
from tests.compare import errors

PASSWORD = "pa55-w0rd/of theirs"
QUOTED = "pa55-w0rd%2Fof%20theirs"
BODY = "a body that is nobody's business"


class _Old(socketserver.StreamRequestHandler):
	"""A server of old: it knows few commands, and quotes those it does not know, with all they came with."""

	def handle(self) -> None:
		while head := self.rfile.readline():
			words = []
			for _ in range(int(head[1:])):
				words.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2])
			self.wfile.write(self.server.answer(words))


@contextmanager
def served(answer) -> Iterator[int]:
	server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Old)
	server.daemon_threads, server.answer = True, answer
	threading.Thread(target=server.serve_forever, daemon=True).start()
	yield server.server_address[1]
	server.shutdown()
	server.server_close()


def quotes(words: list[bytes]) -> bytes:
	if words[0] in (b"AUTH", b"CLIENT", b"SELECT") and len(words) < 3:
		return b"+OK\r\n"
	told = b" ".join(b"`%s`," % word for word in words[1:]).replace(b"\r\n", b" ")
	return b"-ERR unknown command `%s`, with args beginning with: %s\r\n" % (words[0], told)


def echoes(words: list[bytes]) -> bytes:
	return b"-" + b" ".join(words).replace(b"\r\n", b" ") + b"\r\n"


@pytest.mark.parametrize("answer", [quotes, echoes])
@pytest.mark.parametrize(
	"url",
	[
		"redis://ada:{}@127.0.0.1:{}/0",
		"redis://ada:{}@127.0.0.1:{}/0?protocol=3",
		"redis://:{}@127.0.0.1:{}/0?protocol=3",
		"redis://127.0.0.1:{1}/0?protocol=3&password={0}",
		"redis://:x@127.0.0.1:{1}/0?protocol=3&username=ada&password={0}",
	],
)
def test_a_server_that_quotes_the_password_shows_it_nowhere(
	make_runtime, caplog, capfd, monkeypatch, url, answer
):
	caplog.set_level(logging.DEBUG)
	with served(answer) as port:
		runtime = make_runtime(redis_url=url.format(QUOTED, port))
		stop = threading.Event()
		running = ConsumerLoop(runtime, "crm")
		monkeypatch.setattr(stop, "wait", lambda pause: stop.set() if running._failures >= 3 else None)
		running.run(stop)
	shown = repr(errors(runtime)) + caplog.text + "".join(capfd.readouterr())
	assert "Queue of crm fails" in shown and [row["operation"] for row in errors(runtime)] == ["Queue"]
	for secret in (PASSWORD, QUOTED, "pa55-w0rd"):
		assert secret not in shown


@pytest.mark.parametrize(
	("url", "said"),
	[
		("redis://:pa55/w0rd@127.0.0.1:1/0", "%2F"),
		("redis://:pa55?w0rd=x@127.0.0.1:1/0", "%2F"),
		("redis://ada:pa?w0rd&pa55=x@127.0.0.1:1/0", "%2F"),
		("redis://ada:pa55#w0rd@127.0.0.1:1/0", "%2F"),
		("redis://ada:w0rd:pa55", "%2F"),
		("redis://127.0.0.1/0?w0rd=pa55", "no other options"),
	],
)
def test_a_url_that_is_none_is_refused_without_a_part_of_it(make_runtime, redis_url, monkeypatch, url, said):
	runtime = make_runtime(redis_url=redis_url)
	hub = runtime.file.hub
	for env, hub_url, call in (
		(url, redis_url, lambda: consumer_for(runtime, "crm")),
		("", redis_url, lambda: consumer_for(runtime, "crm", fallback_url=url)),
		(redis_url, url, runtime.redis),
	):
		monkeypatch.setenv("CRM_QUEUE_URL", env)
		monkeypatch.setitem(hub, "redis", hub_url)
		if env != url and said != "%2F":
			continue  # an owner may set any option
		with pytest.raises(HubError) as caught:
			call()
		assert (
			said in str(caught.value) and "pa55" not in str(caught.value) and "w0rd" not in str(caught.value)
		)


@pytest.mark.parametrize("kind", ["string", "hash"])
def test_no_error_of_a_real_server_holds_a_message(redis_url, kind):
	client = RedactingRedis.from_url(redis_url)
	client.flushall()
	client.set("wrong", "kind") if kind == "string" else client.hset("wrong", "kind", "x")
	calls = [
		lambda: client.lrem("wrong", -1, BODY),
		lambda: client.lpush("wrong", BODY),
		lambda: client.execute_command("NONSENSE", BODY),
		lambda: client.execute_command("LREM", BODY),
		lambda: client.execute_command("SET", "x", "y", BODY),
		lambda: client.register_script("return redis.call('LPUSH', KEYS[1], ARGV[1])")(["wrong"], [BODY]),
		lambda: client.eval("return redis.error_reply('ERR ' .. ARGV[1])", 0, BODY),
		lambda: client.eval("error(ARGV[1])", 0, BODY),
		lambda: client.eval(BODY, 0),
	]
	for transaction in (True, False):
		pipe = client.pipeline(transaction=transaction).lrem("wrong", -1, BODY).lpush("wrong", BODY)
		calls += [
			pipe.execute,
			client.pipeline(transaction=transaction).execute_command("NONSENSE", BODY).execute,
		]
	for call in calls:
		with pytest.raises(redis.RedisError) as caught:
			call()
		error: BaseException | None = caught.value
		while error:
			assert BODY not in str(error) and BODY not in repr(error)
			assert str(error)
			error = error.__cause__ or error.__context__


def test_what_a_server_says_of_itself_is_kept(redis_url):
	client = RedactingRedis.from_url(redis_url)
	client.set("wrong", "kind")
	with pytest.raises(
		redis.ResponseError, match=r"^WRONGTYPE Operation against a key holding the wrong kind of value$"
	):
		client.lpush("wrong", BODY)
	with pytest.raises(redis.ResponseError, match="^NOGROUP"):
		client.xreadgroup("group", "name", {"nothing": ">"})
	with pytest.raises(redis.ResponseError, match="^unknown command NONSENSE$"):
		client.execute_command("NONSENSE", BODY)
	client.delete("wrong")
	for text in (
		"OOM command not allowed when used memory > 'maxmemory'.",
		"READONLY You can't write against a read only replica.",
	):
		assert server_words(redis.ResponseError(text)) == text.rstrip(".")
	assert server_words(redis.ConnectionError("Error 111 connecting to host:1. Refused.")).startswith(
		"Error 111"
	)


def test_a_message_of_a_queue_whose_list_is_none_is_in_no_log(make_runtime, redis_url, caplog, capfd):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(redis_url=redis_url)
	client.lpush("crm_events", json.dumps({"type": "stock", "text": BODY}))
	consumer = consumer_for(runtime, "crm")
	messages = consumer.read(0)
	client.delete(consumer.processing)
	client.set(consumer.processing, "no list")  # its acknowledgement fails
	with suppress(redis.RedisError):
		consumer.store(messages)
	running = ConsumerLoop(runtime, "crm")
	stop = threading.Event()
	stop.wait = lambda pause: stop.set() if running._failures >= 3 else None
	running.run(stop)
	shown = repr(errors(runtime)) + caplog.text + "".join(capfd.readouterr())
	assert BODY not in shown and "WRONGTYPE" in shown
	client.flushall()


def test_a_database_that_quotes_the_statement_shows_the_message_to_nobody_else(make_runtime, redis_url):
	client = redis.from_url(redis_url)
	client.flushall()
	runtime = make_runtime(redis_url=redis_url)
	runtime.db.execute(
		"""CREATE TRIGGER refuse BEFORE INSERT ON `tabWebhook Log` WHEN NEW.`payload` LIKE '%nobody%'
		BEGIN SELECT RAISE(ABORT, 'near "a body that is nobody''s business"'); END"""
	)
	client.lpush("crm_events", json.dumps({"type": "stock", "text": BODY}))
	assert consumer_for(runtime, "crm").drain().unreadable == 1
	[row] = errors(runtime)
	assert "not_stored" in row["message"] and BODY not in repr(row)
