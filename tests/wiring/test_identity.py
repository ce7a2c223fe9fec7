"""A factory keeps the name that it was given, or that it once made for itself."""

import os
import socket
from pathlib import Path

import pytest

from qalipsis.config.settings import Factory
from qalipsis.errors import ConfigurationError
from qalipsis.wiring import identity
from qalipsis.wiring.identity import node_of


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "pod-1")


def test_a_factory_has_the_configured_name() -> None:
    assert node_of(Factory(node_id="eu-1", metadata_path="/nowhere")) == "eu-1"


def test_without_any_name_it_has_the_one_of_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert node_of(Factory()) == "pod-1"
    monkeypatch.setattr(socket, "gethostname", lambda: "Bob's laptop")
    assert node_of(Factory()) == "Bob-s-laptop"


def test_a_name_is_made_once_and_used_again_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Factory(metadata_path=str(tmp_path / "factory" / "identity"))
    first = node_of(kept)
    assert first.startswith("pod-1-")
    monkeypatch.setattr(socket, "gethostname", lambda: "pod-2")
    assert node_of(kept) == first
    assert [file.name for file in (tmp_path / "factory" / "identity").iterdir()] == ["node-id"]


def test_two_folders_hold_two_names(tmp_path: Path) -> None:
    assert node_of(Factory(metadata_path=str(tmp_path / "a"))) != node_of(
        Factory(metadata_path=str(tmp_path / "b"))
    )


def test_a_name_written_by_hand_is_used(tmp_path: Path) -> None:
    (tmp_path / "node-id").write_text("eu-1")
    assert node_of(Factory(metadata_path=str(tmp_path))) == "eu-1"


def test_a_folder_that_cannot_be_written_will_do_when_it_holds_a_name(tmp_path: Path) -> None:
    (tmp_path / "node-id").write_text("eu-1\n")
    tmp_path.chmod(0o500)
    assert node_of(Factory(metadata_path=str(tmp_path))) == "eu-1"


def test_of_two_that_begin_at_once_both_have_the_name_that_came_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = identity._new

    def other_is_quicker() -> str:
        (tmp_path / "node-id").write_text("first\n")
        return new()

    monkeypatch.setattr(identity, "_new", other_is_quicker)
    assert node_of(Factory(metadata_path=str(tmp_path))) == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["node-id"]


def test_half_a_name_is_never_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space left on device"):
            node_of(Factory(metadata_path=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []
    assert node_of(Factory(metadata_path=str(tmp_path))).startswith("pod-1-")


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"two words\n", b"eu-1\neu-2\n", b"a{b}", b"\xff\xfe", b"x" * 101, b"x" * 5000]
)
def test_a_file_that_holds_no_name_is_told_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "node-id").write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"{tmp_path}/node-id: should hold .* delete the file"):
        node_of(Factory(metadata_path=str(tmp_path)))
    assert (tmp_path / "node-id").read_bytes() == content


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = r"file/node-id: the identity of this factory cannot be kept there: .* factory.metadata-path"
    with pytest.raises(ConfigurationError, match=told):
        node_of(Factory(metadata_path=str(tmp_path / "file")))


@pytest.mark.parametrize("name", ["a{b}", "x" * 101, "two words", "a/b"])
def test_a_configured_name_that_topics_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="should be at most 100 letters"):
        node_of(Factory(node_id=name))
