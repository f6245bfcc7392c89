from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from factories import a_realistic_run, a_run, a_turn

from voicebot.bench.record import Run, Span, from_json
from voicebot.bench.report import render_report, write_report
from voicebot.timeline import Breakdown

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)> \" ' & {{ 7*7 }} \u2028"
VOID = {"meta", "link", "input", "img", "br", "hr"}


class Page(HTMLParser):
    """A page's elements and texts; fails on elements that do not close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]

    def inside(self, tag: str) -> list[str]:
        return [text for each, text in self.texts if each == tag]


RUNS = {
    "no turns": a_run([]),
    "all misses": a_run([a_turn(None), a_turn(None, spans=())]),
    "one turn": a_run([a_turn()]),
    "all negative": a_run([a_turn(-300.0, cut_in=True, overlap_ms=300.0), a_turn(-20.0)]),
    "zero": a_run([a_turn(0.0, breakdown_ms=Breakdown(0, 0, 0, 0, 0, 0), spans=())]),
    "very late": a_run([a_turn(9_000.0, missed=True), a_turn(200.0)]),
    "bare": a_run([a_turn(marks={}, spans=(), breakdown_ms=None, speech=(), bot_audio=())]),
    "realistic": a_realistic_run(40),
    "hostile": a_run(
        [
            a_turn(
                text=HOSTILE,
                transcript=HOSTILE,
                reply=HOSTILE,
                heard=HOSTILE[:9],
                kind=HOSTILE,
                caller=HOSTILE,
                speaker=HOSTILE,
                failure=HOSTILE,
                marks={HOSTILE: 1.0},
                spans=(Span(HOSTILE, 0.0, 5.0),),
            )
        ]
    ),
}


@pytest.fixture(params=RUNS, ids=list(RUNS))
def run(request: pytest.FixtureRequest) -> Run:
    return RUNS[request.param]


def test_the_page_is_well_formed_and_has_its_sections(run: Run) -> None:
    page = Page(render_report(run))
    assert len(page.all("h1")) == 1
    headings = page.inside("h2")
    for name in ("Voice to voice", "By kind of caller", "Where the time goes", "Every turn"):
        assert name in headings
    assert len(page.all("caption")) >= 2
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag in page.all("svg"):
        assert tag.get("aria-label") or tag.get("viewbox")


def test_nothing_is_fetched_from_anywhere(run: Run) -> None:
    page = Page(render_report(run))
    for tag, attributes in page.elements:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "action", "data", "srcset", "xlink:href"):
            target = attributes.get(name)
            assert target is None or target.startswith("#") or (tag, target) == ("link", "data:,")
    style = "".join(page.inside("style"))
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_its_own_style_and_script_and_nothing_else(run: Run) -> None:
    page = Page(render_report(run))
    policy = next(
        each["content"] or ""
        for each in page.all("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    scripts = [text for text in page.inside("script") if text.startswith('"use strict"')]
    for text in (*page.inside("style"), *scripts):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert len(page.all("script")) == 2


def test_hostile_words_stay_words() -> None:
    text = render_report(RUNS["hostile"])
    page = Page(text)
    assert "img" not in [tag for tag, _ in page.elements]
    assert "49" not in "".join(page.inside("dd")).split()
    assert text.count("</script>") == 2
    assert any(HOSTILE in each for each in page.inside("dd"))


def test_the_run_can_be_taken_back_from_the_page(run: Run) -> None:
    page = Page(render_report(run))
    data = next(text for text in page.inside("script") if text.startswith("{"))
    assert not re.search("[<>&\u2028\u2029]", data)
    assert from_json(json.loads(data)) == run


def test_every_turn_is_on_the_page_with_its_signed_latency() -> None:
    page = Page(render_report(RUNS["all negative"]))
    turns = [each for each in page.all("details") if "data-number" in each]
    assert [each["data-latency"] for each in turns] == ["-300.0", "-20.0"]
    assert any("\N{MINUS SIGN}300" in text for text in page.inside("span"))


def test_late_replies_beyond_the_axis_are_counted_on_it() -> None:
    turns = [a_turn(200.0 + index) for index in range(40)] + [a_turn(3_700.0)]
    text = "".join(Page(render_report(a_run(turns))).inside("text"))
    assert "1 beyond, up to 3\N{NARROW NO-BREAK SPACE}700" in text


def test_misses_and_cut_ins_are_listed_with_links_that_lead_somewhere() -> None:
    run = RUNS["realistic"]
    page = Page(render_report(run))
    links = [each["href"] for each in page.all("a")]
    assert len(links) == sum(turn.missed for turn in run.turns) + sum(
        turn.cut_in for turn in run.turns
    )
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert all(link is not None and link[1:] in ids for link in links)


@pytest.mark.parametrize(("language", "differs"), [("de", False), ("en", True)])
def test_words_are_compared_in_the_language_of_the_run(language: str, *, differs: bool) -> None:
    run = a_run([a_turn(text="um 21 Uhr", transcript="um einundzwanzig Uhr")])
    run = replace(run, meta=replace(run.meta, config={"language": language}))
    assert ("<del>" in render_report(run)) is differs


def test_a_partial_run_warns_first() -> None:
    page = Page(render_report(a_run([a_turn()], partial=True)))
    assert "The run was ended early, after 1 turn." in page.inside("li")


def test_250_turns_stay_light() -> None:
    assert len(render_report(a_realistic_run(250)).encode()) < 3_000_000


def test_it_is_written_whole(tmp_path: Path) -> None:
    write_report(a_run([a_turn()]), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
