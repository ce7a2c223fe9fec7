from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qalipsis.reports import page
from qalipsis.reports.model import Report

VOID = {"meta", "link", "br", "img", "input"}
DRAWN = {"path", "rect", "circle"}


class Reader(HTMLParser):
    """What a browser would find: elements, their references, the text of each kind of element."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.identities: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.text: dict[str, list[str]] = {}
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action", "xlink:href"):
                self.references.append(value or "")
            if name == "id":
                self.identities.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def words(self) -> str:
        kept = (part for tag, parts in self.text.items() if tag not in ("style", "script") for part in parts)
        return " ".join(" ".join(kept).split())


def test_a_page_loads_nothing(any_report: Report) -> None:
    document = page.render(any_report)
    found = Reader(document)
    assert all(each.startswith("#") or each == "data:," for each in found.references)
    assert not {"img", "iframe", "object", "embed", "video", "audio"} & set(found.tags)
    assert "@import" not in document
    assert "url(" not in document


def test_no_address_stands_in_the_page_itself(make_report: Callable[[str], Report]) -> None:
    assert not re.search(r"https?://", page.render(make_report("ordinary")))


def test_every_element_is_closed_and_every_identity_unique(any_report: Report) -> None:
    found = Reader(page.render(any_report))
    assert found.open == []
    assert len(found.identities) == len(set(found.identities))


def test_a_link_within_the_page_leads_somewhere(any_report: Report) -> None:
    found = Reader(page.render(any_report))
    assert {each[1:] for each in found.references if each.startswith("#")} <= set(found.identities)


def test_markup_in_names_and_errors_is_shown_not_obeyed(make_report: Callable[[str], Report]) -> None:
    found = Reader(page.render(make_report("hostile")))
    assert found.tags.count("script") == 1
    assert "img" not in found.tags
    assert found.handlers == []
    assert "<script>alert(1)</script>" in found.words()
    assert "{{ 7*7 }}" in found.words()


def test_only_the_script_of_the_page_may_run(make_report: Callable[[str], Report]) -> None:
    document = page.render(make_report("ordinary"))
    (script,) = re.findall(r"<script>(.*?)</script>", document, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in document


def test_a_page_can_be_written_as_utf_8(make_report: Callable[[str], Report]) -> None:
    document = page.render(make_report("hostile"))
    assert document.encode().decode() == document
    assert "\x1b" not in document
    assert "\x00" not in document


def test_status_and_verdict_come_first_with_their_reasons(make_report: Callable[[str], Report]) -> None:
    words = Reader(page.render(make_report("ordinary"))).words()
    document = page.render(make_report("ordinary"))
    assert document.index("FAILED</div>") < document.index("DEGRADED</div>") < document.index("<dl")
    assert "worker 2 of factory laptop was lost" in words
    assert "step place-order failed in 97 of 9,549 executions (1.02 %)" in words


def test_books_that_do_not_close_are_called_out(make_report: Callable[[str], Report]) -> None:
    report = make_report("ordinary")
    requests = msgspec.structs.replace(report.ledger.requests, ok=report.ledger.requests.ok - 5)
    broken = msgspec.structs.replace(report, ledger=msgspec.structs.replace(report.ledger, requests=requests))
    document = page.render(broken)
    assert "does not close: 5 missing" in document
    assert "The books close." in page.render(report)
    assert "The books do not close." in document


def test_an_hour_is_no_larger_than_a_few_minutes(make_report: Callable[[str], Report]) -> None:
    assert len(page.render(make_report("hour"))) < 200_000


def test_every_chart_has_a_title_a_description_and_a_table(make_report: Callable[[str], Report]) -> None:
    document = page.render(make_report("ordinary"))
    figures = document.count("<figure")
    assert figures > 5
    assert document.count('role="img"') == document.count("<desc ") == figures
    assert document.count("Figures as a table") == figures


def test_steps_of_the_engine_itself_are_not_shown(make_report: Callable[[str], Report]) -> None:
    report = make_report("successful")
    (scenario,) = report.scenarios
    hidden = msgspec.structs.replace(scenario.steps[0], name="__singleton")
    scenario = msgspec.structs.replace(scenario, steps=(hidden, *scenario.steps[1:]))
    assert "__singleton" not in page.render(msgspec.structs.replace(report, scenarios=(scenario,)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_report_makes_a_page(
    data: st.DataObject, reports: Callable[..., st.SearchStrategy[Report]]
) -> None:
    document = page.render(data.draw(reports()))
    assert Reader(document).open == []
    document.encode()


def test_the_page_says_what_its_latencies_leave_out(make_report: Callable[[str], Report]) -> None:
    words = Reader(page.render(make_report("ordinary"))).words()
    assert "Neither has requests without an answer" in words


def test_a_campaign_that_was_stopped_is_not_said_to_have_run_as_planned(
    make_report: Callable[[str], Report],
) -> None:
    ordinary = make_report("ordinary")
    verdict = msgspec.structs.replace(ordinary.verdict, value="VALID", reasons=())
    campaign = msgspec.structs.replace(ordinary.campaign, status="ABORTED")
    for stopped, sentence in (
        (False, "The load was applied as planned"),
        (True, "Until the stop, the load was applied as planned"),
    ):
        changes = {"campaign": campaign} if stopped else {}
        words = Reader(page.render(msgspec.structs.replace(ordinary, verdict=verdict, **changes))).words()
        assert sentence in words
