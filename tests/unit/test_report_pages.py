"""Pages and tables: one file without network or scripts, names escaped, equal bytes, at most 100 columns."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
import time
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from kpsim.experiment.result import Cdf, Result
from kpsim.report.directory import write_report
from kpsim.report.html import report_html
from kpsim.report.markdown import report_markdown
from kpsim.report.tables import TABLES, summary_document, write_tables
from kpsim.report.terminal import KINDS, WIDTH, summary_text
from tests.report_fixture import make_result

EVIL = '<script>alert("1")</script>&|`x`'
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Reader(HTMLParser):
    """Tags, attributes and text of a page; complains about tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def result() -> Result:
    return make_result()


@pytest.fixture(scope="module")
def page(result: Result) -> str:
    return report_html(result)


def evil() -> Result:
    result = make_result(["iptables", EVIL], name=EVIL)
    scenario = dataclasses.replace(result.scenario, description=EVIL)
    limit = dataclasses.replace(result.limits[0], name=EVIL, source=EVIL)
    return dataclasses.replace(
        result,
        scenario=scenario,
        limits=(limit,),
        warnings=(EVIL,),
        assumptions=((EVIL, EVIL),),
        provenance={"command": EVIL, EVIL: EVIL},
        engine_reason=EVIL,
    )


def bare() -> Result:
    """A run that found nothing at all."""
    result = make_result(["iptables"], thresholds=())
    nothing = dataclasses.replace(
        result.modes["iptables"],
        summaries={},
        cdfs={"first_packet_latency": Cdf(np.zeros(0), np.zeros(0))},
        counts={},
        rates={},
        by_position=(),
        sync_curve=(),
        load_curve=(),
        capacity_per_s=math.inf,
        extrapolations=(),
    )
    return dataclasses.replace(
        result, modes={"iptables": nothing}, limits=(), warnings=(), assumptions=(), provenance={}, complete=False
    )


def test_one_small_file_without_network_or_scripts(page: str) -> None:
    assert len(page.encode()) < 1_000_000
    seen = read(page).seen
    assert not {tag for tag, _ in seen} & {"script", "link", "iframe", "object", "embed", "base"}
    for _tag, attributes in seen:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in page
    assert "@import" not in page


def test_figures_have_alternative_text(page: str) -> None:
    images = [attributes for tag, attributes in read(page).seen if tag == "img"]
    assert len(images) == 5
    assert all(len(image["alt"] or "") > 50 for image in images)


def test_the_order_of_the_page(page: str) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Confidence", "Limits and headroom", "Objectives", "Why", "What if", "Modes side by side",
        "Assumptions, and what is not modelled", "Provenance", "Glossary",
    ]  # fmt: skip
    assert page.index("iptables fails network_programming_true") < page.index("<h2>Confidence")


def test_names_are_escaped() -> None:
    page = report_html(evil())
    reader = read(page)
    assert "script" not in {tag for tag, _ in reader.seen}
    assert reader.text.count(EVIL) >= 10
    markdown = report_markdown(evil())
    assert "<script" not in markdown.partition("Reproduce with:")[0]
    assert markdown.endswith(f"Reproduce with:\n\n    {EVIL}\n")  # code: shown as it stands
    tables = [
        list(rows) for is_row, rows in groupby(markdown.splitlines(), lambda line: line.startswith("|")) if is_row
    ]
    assert len(tables) == 4
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table}) == 1, table[0]


def test_a_run_that_found_nothing_still_makes_every_page(tmp_path: Path) -> None:
    read(report_html(bare()))
    assert "No objective is set: nothing was observed" in summary_text(bare())
    assert report_markdown(bare()).startswith("# 10k-services")
    json.dumps(summary_document(bare()), allow_nan=False)
    assert [path.read_text().count("\n") for path in write_tables(bare(), tmp_path)] == [1] * len(TABLES)


@pytest.mark.parametrize("modes", [["iptables"], ["toy"], ["iptables", "ipvs", "nftables", "toy"]])
def test_any_number_of_modes(modes: list[str]) -> None:
    reader = read(report_html(make_result(modes)))
    assert all(mode in reader.text for mode in modes)


def test_everything_is_written_with_equal_bytes_in_under_three_seconds(tmp_path: Path) -> None:
    result = make_result(["iptables", "ipvs", "nftables"])
    start = time.process_time()
    first = write_report(result, tmp_path / "a")
    assert time.process_time() - start < 3
    second = write_report(make_result(["iptables", "ipvs", "nftables"]), tmp_path / "b")
    assert [path.relative_to(tmp_path / "a") for path in first] == [path.relative_to(tmp_path / "b") for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(first) == len({*first}) == 3 + len(TABLES) + 5


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_summary_is_plain_and_leaves_out_how_it_was_asked(result: Result) -> None:
    document = summary_document(result)
    again = json.loads(json.dumps(document, allow_nan=False))
    assert again == document
    other = {**result.provenance, "command": "kpsim run elsewhere.yaml --jobs 4"}
    assert summary_document(dataclasses.replace(result, provenance=other)) == document
    assert "command" not in document["provenance"]


def test_numbers_have_nine_digits_and_none_is_not_a_number(result: Result) -> None:
    odd = dataclasses.replace(result.modes["ipvs"], capacity_per_s=math.inf, position_fixed_s=1 / 3)
    document = summary_document(dataclasses.replace(result, modes={"ipvs": odd}))
    assert document["modes"]["ipvs"]["capacity_per_s"] is None
    assert document["modes"]["ipvs"]["position_fixed_s"] == 0.333333333


def test_tables_have_a_row_for_everything(result: Result, tmp_path: Path) -> None:
    rows = {path.name: list(csv.DictReader(path.read_text().splitlines())) for path in write_tables(result, tmp_path)}
    assert list(rows) == list(TABLES)
    assert len(rows["by_position.csv"]) == sum(len(found.by_position) for found in result.modes.values())
    assert {row["extrapolated"] for row in rows["sync_curve.csv"]} == {"true", "false"}
    assert rows["load_curve.csv"][-1]["first_packet_p99_s"] == ""
    p99 = [
        r
        for r in rows["summaries.csv"]
        if (r["mode"], r["measure"], r["statistic"]) == ("ipvs", "sync_duration_full", "p99")
    ]
    assert float(p99[0]["value"]) == pytest.approx(
        result.modes["ipvs"].summaries["sync_duration_full"].quantiles["p99"].value
    )


# ── Terminal ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("found", [make_result(), make_result(["toy"]), evil(), bare(), make_result(["m" * 150])])
def test_never_wider_than_the_page(found: Result) -> None:
    assert max(len(line) for line in summary_text(found).splitlines()) <= WIDTH


def test_the_verdict_comes_first_and_marks_are_told_apart(result: Result) -> None:
    lines = summary_text(result).splitlines()
    assert lines[3].startswith("✗ iptables fails")
    assert [line[4] for line in lines if " first_packet_latency " in line and "p99 <" in line] == ["✓", "✓"]
    assert any("2,468,000 [2,443,320, 2,492,680] delivered · 241 [238, 243] refused" in line for line in lines)


def test_percentiles_are_not_cut(result: Result) -> None:
    for line in summary_text(result).splitlines():
        assert not line.endswith("…")


def test_colour_goes_through_the_callers_function_and_changes_nothing_else(result: Result) -> None:
    kinds: set[str] = set()

    def style(kind: str, text: str) -> str:
        kinds.add(kind)
        return f"\x1b[1m{text}\x1b[0m"

    coloured = summary_text(result, style)
    assert re.sub(r"\x1b\[\dm", "", coloured) == summary_text(result)
    assert {"title", "met", "failed", "dim", "warning"} <= kinds <= set(KINDS)


def test_names_cannot_move_the_cursor() -> None:
    assert "\x1b" not in summary_text(make_result(name="a\x1b[2Jb\nc"))
    assert "\x1b" not in summary_text(make_result(["\x1b[2J"]))
