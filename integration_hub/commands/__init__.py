"""One command group for both runtimes: `bench --site S integration-hub …` and `integration-hub …`.

A module holds the commands of one kind of thing. What they call is imported when they run: bench imports this package
for each of its own commands.
"""

from __future__ import annotations

import sys

from integration_hub.commands import (
	deliveries,
	events,
	failures,
	importing,
	inspection,
	processes,
	senders,
	setup,
	streams,
)
from integration_hub.commands.group import integration_hub, main
from integration_hub.preload import WORKERS, preload

__all__ = [
	"commands",
	"deliveries",
	"events",
	"failures",
	"importing",
	"inspection",
	"integration_hub",
	"main",
	"processes",
	"senders",
	"setup",
	"streams",
]

commands = [integration_hub]  # where bench looks

if WORKERS.intersection(sys.argv):
	preload()
