"""Tests against servers of others need the Internet once, to install them, and skip with a reason without it."""
