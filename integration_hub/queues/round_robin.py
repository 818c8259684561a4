"""Queues that share one process have it in turns: a long one does not keep the others waiting."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

_LONGEST_TURN = 5.0


def in_turns(names: Sequence[str], take: Callable[[str, float], bool], seconds: float) -> None:
	"""Call `take` with each name and the seconds of its turn, round after round, as long as it says there is more.

	A turn is as short as lets each have one. Another one begins each time: where turns last longer than they
	should, the last ones of a round may get none.

	seconds: how long the whole of it may take; a turn that was begun is finished.
	"""
	until = time.monotonic() + seconds
	waiting = random.sample(names, len(names))
	turn = min(_LONGEST_TURN, seconds / max(len(waiting), 1))
	while waiting:
		waiting = [name for name in waiting if time.monotonic() < until and take(name, turn)]
