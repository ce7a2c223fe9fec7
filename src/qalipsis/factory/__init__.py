"""Hosts minions: a supervisor, and the worker processes in which user code runs."""
