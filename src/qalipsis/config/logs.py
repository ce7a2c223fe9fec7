"""Where log records go: text for people in a terminal, one JSON object per line for machines."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

from qalipsis.config.secret import without_password
from qalipsis.config.settings import Logging

ROOT = "qalipsis"
_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}


def set_up_logging(settings: Logging, stream: TextIO, usual: str = "WARN") -> None:
    """Send the project's log records to the stream; each process of a factory calls it once.

    `usual` is the level when the settings name none.
    """
    is_text = stream.isatty() if settings.format == "auto" else settings.format == "text"
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Text() if is_text else _Json())
    logger = logging.getLogger(ROOT)
    logger.handlers = [handler]
    logger.setLevel(_LEVELS.get(settings.level or usual, logging.CRITICAL + 1))
    # The root logger belongs to the author's code; without this it would print our records once more.
    logger.propagate = False


class _Text(logging.Formatter):
    """What happens is told without more ado; what is wrong is marked; details say where they come from."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(mark)s%(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno < logging.INFO:
            record.mark = f"{record.levelname:7} {record.name}: "
        else:
            record.mark = f"{record.levelname} " if record.levelno > logging.INFO else ""
        return without_password(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": without_password(record.getMessage()),
        }
        if record.exc_info:
            fields["error"] = without_password(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)
