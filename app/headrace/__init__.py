"""Headrace: a distributed task-graph engine on Redis queues."""

__version__ = "0.1.0"
