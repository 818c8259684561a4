"""Text from outside on its way to a terminal or a log: every print of the command line and every log line.

ESC moves the cursor, renames the window or writes into a terminal's clipboard; CR and the controls of writing
direction make a line say what it does not. None of them gets out as itself.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType
from unicodedata import category

# Controls, formats (writing direction, zero width), halves of characters, and what ends a line elsewhere.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # that scripts and emoji need; they move nothing


def plain(text: object) -> str:
	"""Return text as one line that shows each control character as Python writes it: `\\x1b`, `\\n`, `\\u202e`."""
	line = str(text)
	if line.isprintable():
		return line
	return "".join(map(_shown, line))


def _shown(character: str) -> str:
	if category(character) not in _UNSHOWN or character in _JOINERS:
		return character
	return character.encode("unicode_escape").decode()


def plain_traceback(error: BaseException) -> str:
	"""Return a traceback whose lines are plain; those of the error's own text are indented like all but the first."""
	text = "".join(traceback.format_exception(error))
	return "\n  ".join(plain(line) for line in text.rstrip("\n").split("\n"))


def logger_of(name: str) -> logging.Logger:
	"""Return a logger whose records are plain, whatever handlers a bench, a server or nobody has set up."""
	logger = logging.getLogger(name)
	if _make_plain not in logger.filters:
		logger.addFilter(_make_plain)
	return logger


def _make_plain(record: logging.LogRecord) -> bool:
	record.msg, record.args = plain(record.getMessage()), ()
	if record.exc_info and record.exc_info[1] and not record.exc_text:
		record.exc_text = plain_traceback(record.exc_info[1])  # which formatters take instead of making one
	return True


class _PlainFormatter(logging.Formatter):
	"""Makes plain what other libraries log: one that was broken into lines is indented from its second on."""

	def format(self, record: logging.LogRecord) -> str:
		return "\n  ".join(map(plain, super().format(record).split("\n")))


def log_plainly() -> None:
	"""Log warnings to stderr, and errors that nobody catches, in plain lines; handlers that are there stay."""
	handler = logging.StreamHandler()
	handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
	logging.basicConfig(level=logging.WARNING, handlers=[handler])
	sys.excepthook = _shown_by_python
	threading.excepthook = _shown_by_thread


def _shown_by_python(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
	print(plain_traceback(error), file=sys.stderr)


def _shown_by_thread(given: threading.ExceptHookArgs) -> None:
	if given.exc_value is not None and given.exc_type is not SystemExit:  # as Python has it
		print(plain_traceback(given.exc_value), file=sys.stderr)
