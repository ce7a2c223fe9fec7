"""Runs the revisions on the connection that `migration.py` hands over; Alembic looks for this file."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
