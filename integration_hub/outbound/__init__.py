"""Local changes out: from the outbox to the external system, at least once, in order, with one effect."""
