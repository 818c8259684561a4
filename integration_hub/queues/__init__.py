"""Queues: messages of an external Redis into the inbox."""
