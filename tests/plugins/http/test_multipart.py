from __future__ import annotations

from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.multipart import pieces, read, size

BOUNDARY = b"boundary"


def sent(fields: dict[str, Any]) -> bytes:
    body = pieces(fields, BOUNDARY)
    return b"".join(read(body, size(body)))


def parsed(fields: dict[str, Any]) -> list[tuple[str, str | None, str, bytes]]:
    """Name, file name, media type and content of every part, as a receiver reads them."""
    head = b"Content-Type: multipart/form-data; boundary=" + BOUNDARY + b"\r\n\r\n"
    message = message_from_bytes(head + sent(fields))
    parts = []
    for part in message.get_payload():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        parts.append((name, part.get_filename(), part.get_content_type(), payload))
    return parts


def test_the_body_looks_as_the_standard_says() -> None:
    assert sent({"a": "ü", "f": ("x.txt", b"text")}) == (
        b'--boundary\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xc3\xbc\r\n'
        b'--boundary\r\nContent-Disposition: form-data; name="f"; filename="x.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\ntext\r\n"
        b"--boundary--\r\n"
    )


def test_a_form_without_files_is_one_piece() -> None:
    assert len(pieces({"a": 1, "b": [True, "x"]}, BOUNDARY)) == 1


def test_a_file_is_read_when_it_is_sent(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG" * 50_000)
    assert parsed({"photo": photo, "as": ("other.bin", photo), "n": 1.5}) == [
        ("photo", "photo.png", "image/png", photo.read_bytes()),
        ("as", "other.bin", "application/octet-stream", photo.read_bytes()),
        ("n", None, "text/plain", b"1.5"),
    ]


def test_a_list_gives_its_name_several_times_and_none_leaves_it_out() -> None:
    assert [(name, content) for name, _, _, content in parsed({"a": ["1", ("f.txt", "2")], "b": None})] == [
        ("a", b"1"),
        ("a", b"2"),
    ]


def test_names_cannot_break_out_of_their_header() -> None:
    body = sent({'a"\r\nX: y': ('f"\r\nZ: w', b"content")})
    assert body.count(b"\r\n") == 6
    assert b'name="a%22%0D%0AX: y"; filename="f%22%0D%0AZ: w"' in body


@pytest.mark.parametrize(
    "value", [object(), ("name",), (b"name", b"content"), ("n", object()), ("n", b"", "a\r\nb")]
)
def test_a_bad_part_is_explained(value: object) -> None:
    with pytest.raises(ValueError, match="'field'"):
        pieces({"field": value}, BOUNDARY)


def test_a_file_that_is_not_there_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        size(pieces({"photo": tmp_path / "none.png"}, BOUNDARY))


@pytest.mark.parametrize("now", [b"shorter", b"longer than it was before"])
def test_a_file_that_changes_while_it_is_sent_breaks_the_body_and_not_the_framing(
    tmp_path: Path, now: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"as it was before")
    body = pieces({"file": file}, BOUNDARY)
    expected = size(body)
    file.write_bytes(now)
    chunks = []
    with pytest.raises(ValueError, match="changed its size"):
        chunks.extend(read(body, expected))
    assert len(b"".join(chunks)) <= expected


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", exclude_characters='"\\\r\n%'), min_size=1), st.binary()
    )
)
def test_the_announced_size_is_the_size_sent(fields: dict[str, bytes]) -> None:
    body = pieces(fields, BOUNDARY)
    sent_bytes = b"".join(read(body, size(body)))
    assert len(sent_bytes) == size(body)
    assert all(content in sent_bytes for content in fields.values())
