from __future__ import annotations

import pytest

from qalipsis.plugins import sql
from qalipsis.plugins.sql.settings import parse_url


def test_a_url_says_everything() -> None:
    settings = sql.postgres("postgresql://an%40n:s%2Fec%23ret@db.example:5433/my%20shop").settings()
    assert (settings.host, settings.port, settings.database) == ("db.example", 5433, "my shop")
    assert (settings.user, settings.password.reveal()) == ("an@n", "s/ec#ret")
    assert (settings.pool_size, settings.timeout, settings.connect_timeout) == (10, 10.0, 5.0)
    assert (settings.schema, settings.tls) == (None, None)


def test_keywords_win_over_the_url() -> None:
    settings = sql.postgres(
        "postgres://a:b@h:1/d",
        host="[::1]",
        port=2,
        database="e",
        user="c",
        password="x@y",
        schema="s",
        tls=True,
    ).settings()
    assert (settings.host, settings.port, settings.database, settings.user) == ("[::1]", 2, "e", "c")
    assert settings.password.reveal() == "x@y"
    assert (settings.schema, settings.tls) == ("s", True)


def test_what_is_not_said_has_a_default() -> None:
    settings = sql.postgres(user="u", database="d").settings()
    assert (settings.host, settings.port, settings.password.reveal()) == ("127.0.0.1", 5432, "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:pass/word@h/d",
        "postgresql://u:pass#word@h/d",
        "postgresql://u:pass?word@h/d",
        "postgresql://u:pass[word@h/d",
        "postgresql://u:pass:word@h:x/d",
        "pass-word",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_url(url)
    assert "pass" not in str(caught.value).replace("password", "")
