"""Turns a request into a campaign: assigns, drives, merges, judges, reports. Runs no user code."""
