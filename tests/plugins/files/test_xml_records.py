from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from qalipsis.engine.step import StepError
from qalipsis.plugins import files
from qalipsis.plugins.files import xml_records
from qalipsis.plugins.files.xml_records import XmlRecords

from .reading import cut, parse


def read(text: str | bytes, size: int = 1000, **options: Any) -> tuple[list[Any], StepError | None]:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(XmlRecords, files.xml("file", **{"element": "user", **options}), cut(data, size))


def records(text: str | bytes, **options: Any) -> list[Any]:
    made, error = read(text, **options)
    assert error is None, error
    return made


def problem(text: str | bytes, **options: Any) -> tuple[list[Any], str, str]:
    made, error = read(text, **options)
    assert error is not None
    return made, error.kind, str(error)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("<user/>", {}),
        ("<user> Ann </user>", {"#text": " Ann "}),
        ('<user id="1"/>', {"@id": "1"}),
        ('<user id="1">Ann</user>', {"@id": "1", "#text": "Ann"}),
        ("<user>\n <name>Ann</name>\n <age/>\n</user>", {"name": "Ann", "age": ""}),
        ('<user><name lang="en">Ann</name></user>', {"name": {"@lang": "en", "#text": "Ann"}}),
        ("<user><tag>a</tag><x/><tag>b</tag><tag/></user>", {"tag": ["a", "b", ""], "x": ""}),
        ("<user><a><b><c>1</c></b></a></user>", {"a": {"b": {"c": "1"}}}),
        ("<user><user>inner</user></user>", {"user": "inner"}),
        (
            "<user><n:name xmlns:n='urn:n'>A</n:name></user>",
            {"n:name": {"@xmlns:n": "urn:n", "#text": "A"}},
        ),
        ("<user>a &lt; b &#233; <![CDATA[<c>]]></user>", {"#text": "a < b é <c>"}),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_an_element_is_a_dict(element: str, expected: dict[str, Any], size: int) -> None:
    text = f"<?xml version='1.0'?><!-- c --><all><more>1</more>{element}<list>{element}</list></all>"
    assert records(text, size=size) == [expected, expected]


def test_a_prefix_is_part_of_the_name() -> None:
    text = "<all xmlns:n='urn:n'><n:user><n:id>1</n:id></n:user><user/></all>"
    assert records(text, element="n:user") == [{"n:id": "1"}]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]))), st.integers(1, 30)
)
def test_texts_are_read_back(texts: list[str], size: int) -> None:
    text = "<a>" + "\n".join(f"<user><t>{escape(each)}</t></user>" for each in texts) + "</a>"
    assert [record["t"] for record in records(text, size=size)] == texts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_the_document_says_how_it_is_encoded(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><a><user>é</user></a>'
    assert records(text.encode(encoding), size=3) == [{"#text": "é"}]


# classes


@dataclass
class Address:
    city: str
    text: str = ""


@dataclass
class User:
    id: int
    name: str
    price: Decimal | None = None
    tags: list[str] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    home: Address | None = None


def test_an_element_becomes_an_instance_of_a_class() -> None:
    text = """<all>
      <user id="1"><name>Ann</name><price>1.20</price><tags>a</tags>
        <addresses city="Bern">home</addresses><other>x</other></user>
      <user id="2"><name/><price/><tags>a</tags><tags>b</tags><home city="Rom"/></user>
    </all>"""
    assert records(text, into=User) == [
        User(1, "Ann", Decimal("1.20"), ["a"], [Address("Bern", "home")]),
        User(2, "", None, ["a", "b"], [], Address("Rom")),
    ]


def test_a_child_has_precedence_over_an_attribute_and_text() -> None:
    @dataclass
    class Both:
        id: int
        text: str

    assert records('<a><user id="1">x<id>2</id><text>y</text></user></a>', into=Both) == [Both(2, "y")]


class Node(Struct):
    name: str
    node: list[Node] = []


def test_classes_may_hold_their_own_kind() -> None:
    text = '<user name="a"><node name="b"><node name="c"/></node><node name="d"/></user>'
    expected = Node("a", [Node("b", [Node("c")]), Node("d")])
    assert records(text, into=Node) == [expected]


@pytest.mark.parametrize("size", [1, 1000])
def test_an_element_that_makes_no_instance_is_named(size: int) -> None:
    text = "<all>\n<user id='1'><name>A</name></user>\n<user id='x'>\n<name>B</name></user></all>"
    made, kind, message = problem(text, into=User, size=size)
    assert made == [User(1, "A")]
    assert kind == "bad-element"
    assert "/data/file, line 3: the element 'user' that begins here makes no User: " in message
    assert "$.id" in message


# bad input


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<all>\n<user/>\n</al>", "line 3, column 3: this is no XML: mismatched tag"),
        ("<all>\n<user/>\n<user>", "line 3, column 7: this is no XML: no element found"),
        ("<all>\n<user/>\n& </all>", "line 3, column 2: this is no XML: not well-formed"),
        ("<all><user/>\n&what;</all>", "line 2, column 1: this is no XML: undefined entity"),
        ("<all><user/></all>\n<all/>", "line 2, column 1: this is no XML: junk after document element"),
        ("<all><user/>\n\xe9</all>", "line 2, column 1: this is no XML: not well-formed (invalid token)"),
    ],
)
def test_broken_xml_is_named_after_the_elements_before_it(text: str, words: str, size: int) -> None:
    made, kind, message = problem(text.encode("latin-1"), size=size)
    assert made == [{}]
    assert kind == "bad-xml"
    assert message.startswith(f"/data/file, {words}")


def test_an_empty_file_is_no_xml() -> None:
    assert problem("")[2].startswith("/data/file, line 1, column 1: this is no XML: no element found")


LAUGHS = """<?xml version="1.0"?>
<!DOCTYPE all [
 <!ENTITY a "ha">
 <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>
<all><user>&b;</user></all>"""


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        '<!DOCTYPE all [<!ENTITY x SYSTEM "file:///etc/passwd">]><all><user>&x;</user></all>',
        '<!DOCTYPE all [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p.dtd"> %p;]><all><user/></all>',
        '<!DOCTYPE all [<!ENTITY x SYSTEM "http://127.0.0.1:9/x" NDATA gif>]><all><user/></all>',
    ],
)
def test_entities_that_a_document_declares_are_refused(text: str) -> None:
    made, kind, message = problem(text)
    assert made == []
    assert kind == "bad-xml"
    assert "the document declares the entity" in message


def test_nothing_is_fetched_and_nothing_left_out_silently() -> None:
    """With a declaration elsewhere, an unknown entity is no mistake of the document."""
    text = '<!DOCTYPE all SYSTEM "http://127.0.0.1:9/all.dtd"><all><user>{}</user></all>'
    assert records(text.format("x")) == [{"#text": "x"}]
    _, kind, message = problem(text.format("&x;"))
    assert kind == "bad-xml"
    assert "the entity &x; is declared elsewhere" in message


def test_an_element_that_does_not_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_records, "LONGEST_RECORD", 100_000)
    made, kind, message = problem("<all>\n<user/>\n<user>" + "<a>text</a>" * 50_000)
    assert made == [{}]
    assert kind == "bad-element"
    assert "/data/file, line 3: the element 'user' that begins here is longer than" in message
