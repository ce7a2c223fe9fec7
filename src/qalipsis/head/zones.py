"""A zone: a place that factories stand in, and that campaigns ask for by its key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from qalipsis.errors import ConfigurationError

LONGEST_KEY: Final = 50


class Zone(Struct, frozen=True, kw_only=True):
    """A disabled zone takes no more campaigns, and is still shown with those it had."""

    key: str
    title: str
    description: str | None = None
    image_path: str | None = None
    enabled: bool = True


def check_key(key: str) -> None:
    """Refuse a key that no factory could name in its `factory.zone`."""
    if not key or key != key.strip():
        raise ConfigurationError(
            f"the key of a zone cannot be {key!r}: write a name such as eu-west-1, without spaces around"
        )
    if len(key) > LONGEST_KEY:
        raise ConfigurationError(
            f"the key of a zone has at most {LONGEST_KEY} characters, {key!r} has {len(key)}; "
            "the title may be longer"
        )


def already_there(key: str) -> ConfigurationError:
    return ConfigurationError(
        f"there is a zone {key} already; choose another key, `qalipsis zones list` shows all"
    )


def not_there(key: str, known: Iterable[str]) -> ConfigurationError:
    listed = ", ".join(sorted(known)) or "none"
    return ConfigurationError(f"there is no zone {key}; the zones are: {listed}")
