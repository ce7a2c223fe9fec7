"""What the factory of this process is called: as configured, as kept in a folder, or as its machine."""

from __future__ import annotations

import os
import re
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from qalipsis.config.settings import Factory
from qalipsis.errors import ConfigurationError

FILE: Final = "node-id"
"""Within `factory.metadata-path`."""

MOST_CHARACTERS: Final = 100

_NAME = re.compile(rf"[A-Za-z0-9._-]{{1,{MOST_CHARACTERS}}}")
"""It is part of the names of topics."""

_RULE = f"at most {MOST_CHARACTERS} letters, digits, dots, dashes and underscores"


def node_of(settings: Factory) -> str:
    """The name of the factory. Raises ConfigurationError when it cannot be used, or cannot be kept.

    Without `node-id`, but with a `metadata-path`, it is made once and kept there: the factory is the same
    after a restart, even where the name of the machine is another one each time, as in a container.
    """
    if settings.node_id:
        if not _NAME.fullmatch(settings.node_id):
            raise ConfigurationError(f"factory.node-id {settings.node_id!r} should be {_RULE}")
        return settings.node_id
    if settings.metadata_path:
        return _kept(Path(settings.metadata_path))
    return _machine()


def _machine() -> str:
    """The name of the machine, in the characters of a node."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:MOST_CHARACTERS] or "factory"


def _kept(folder: Path) -> str:
    file = folder / FILE
    try:
        with suppress(FileNotFoundError):
            return _read(file)
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(file, _new())
        return _read(file)
    except OSError as error:
        raise ConfigurationError(
            f"{file}: the identity of this factory cannot be kept there: {error.strerror or error}; let "
            "factory.metadata-path name a folder that this user may write to, or set factory.node-id"
        ) from error


def _new() -> str:
    """Told from that of any other factory, and still to be recognised by people."""
    unique = f"-{secrets.token_hex(4)}"
    return _machine()[: MOST_CHARACTERS - len(unique)] + unique


def _read(file: Path) -> str:
    with file.open("rb") as source:
        text = source.read(MOST_CHARACTERS + 2).decode("ascii", "replace")  # longer ones are none anyway
    node = text.removesuffix("\n")
    if not _NAME.fullmatch(node):
        raise ConfigurationError(
            f"{file}: should hold the name of this factory, {_RULE}, and nothing else; delete the file, so "
            "that a new name is made, or write the name that the factory had"
        )
    return node


def _write_new(file: Path, node: str) -> None:
    """Make the file, whole or not at all; one that another process has made meanwhile is left as it is."""
    unfinished = file.with_name(f".{FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with unfinished.open("x") as target:
            target.write(f"{node}\n")
            target.flush()
            os.fsync(target.fileno())
        with suppress(FileExistsError):
            os.link(unfinished, file)  # where renaming would replace what the other one goes by already
    finally:
        unfinished.unlink(missing_ok=True)
