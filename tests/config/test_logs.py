from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from qalipsis.config.logs import set_up_logging
from qalipsis.config.settings import Logging


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("qalipsis")
    before = logger.handlers, logger.level, logger.propagate
    yield logging.getLogger("qalipsis.scenario")
    logger.handlers, logger.level, logger.propagate = before


def test_a_log_that_is_no_terminal_has_one_json_object_per_line(log: logging.Logger) -> None:
    stream = StringIO()
    set_up_logging(Logging(), stream)
    try:
        raise ValueError("redis://user:hunter2@host is wrong")
    except ValueError:
        log.exception("two\nlines, and %s", "redis://user:hunter2@host")
    log.info("too quiet")
    (line,) = stream.getvalue().splitlines()
    record = json.loads(line)
    assert record["level"] == "ERROR"
    assert record["logger"] == "qalipsis.scenario"
    assert record["message"] == "two\nlines, and redis://user:***@host"
    assert "ValueError: redis://user:***@host is wrong" in record["error"]


def test_text_for_people_names_level_and_logger(log: logging.Logger) -> None:
    stream = StringIO()
    set_up_logging(Logging(format="text", level="DEBUG"), stream)
    log.debug("hello")
    assert stream.getvalue().endswith(" DEBUG   qalipsis.scenario: hello\n")


def test_people_are_told_what_happens_without_more_ado(log: logging.Logger) -> None:
    stream = StringIO()
    set_up_logging(Logging(format="text"), stream, usual="INFO")
    log.info("it runs")
    log.warning("it is slow")
    runs, slow = stream.getvalue().splitlines()
    assert runs[8:] == " it runs"
    assert slow[8:] == " WARNING it is slow"


def test_off_logs_nothing(log: logging.Logger) -> None:
    stream = StringIO()
    set_up_logging(Logging(level="OFF"), stream)
    log.critical("nobody listens")
    assert stream.getvalue() == ""
