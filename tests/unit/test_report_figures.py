"""Figures: the same bytes for the same result, titles true to the data, nothing drawn where there is nothing to say."""

from __future__ import annotations

import dataclasses
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpsim.experiment.result import Cdf, ModeResult, Result, Swing, SyncPoint
from kpsim.measure.summary import MEASURES, Estimate
from kpsim.report.figures import latency, network_programming, pictures, position, sync
from kpsim.report.figures.canvas import Sheet, drawing, log_ticks
from kpsim.report.figures.control import duty
from kpsim.report.figures.fit import tornado
from kpsim.report.figures.scale import headline as scale_headline
from kpsim.report.figures.scale import scale_picture
from kpsim.report.figures.traffic import load
from kpsim.report.style import mode_style
from kpsim.scenario.model import Threshold
from tests.report_fixture import make_mode, make_result

NAMES = ["latency", "position", "network_programming", "sync", "load"]


@pytest.fixture(scope="module")
def result() -> Result:
    return make_result()


def replaced(result: Result, **changes: object) -> Result:
    """The same change in every mode."""
    modes = {mode: dataclasses.replace(found, **changes) for mode, found in result.modes.items()}  # type: ignore[arg-type]
    return dataclasses.replace(result, modes=modes)


def test_every_figure_is_drawn_and_written(result: Result, tmp_path: Path) -> None:
    paths = [picture.write(tmp_path) for picture in pictures(result)]
    assert [path.stem for path in paths] == NAMES
    assert all(path.read_text(encoding="utf-8").startswith("<?xml") for path in paths)


def test_a_figure_is_named_as_the_module_that_draws_it_or_as_its_measure_says() -> None:
    figures = Path(latency.__file__).parent
    modules = {path.stem for path in figures.rglob("*.py") if "\ndef picture(" in path.read_text(encoding="utf-8")}
    kept = {path.stem for path in (Path(__file__).parents[2] / "results").glob("*/figures/*.svg")}
    named = {measure.drawn for measure in MEASURES.values() if measure.drawn}  # distributions, drawn by one module
    assert {name for name in kept if not name.startswith("scale_")} == modules | named


def test_same_result_same_bytes_whatever_was_drawn_before(result: Result) -> None:
    first = pictures(result)
    pictures(make_result(["nftables"]))
    mpl.rcParams["font.size"] = 31
    try:
        assert pictures(make_result()) == first
        assert mpl.rcParams["font.size"] == 31
    finally:
        mpl.rcParams.update(mpl.rcParamsDefault)


def test_no_date_and_nothing_from_outside(result: Result) -> None:
    for picture in pictures(result):
        assert "<dc:date>" not in picture.svg
        links = set(re.findall(r'(?:href|src)="([^"]*)"', picture.svg))
        assert all(link.startswith("#") for link in links)


def test_figures_have_a_title_and_a_text_for_those_who_do_not_see_them(result: Result) -> None:
    for picture in pictures(result):
        root = ET.fromstring(picture.svg)  # noqa: S314 (our own text)
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert root.get("role") == "img"
        assert title is not None
        assert title.text == picture.title
        assert picture.alt.startswith(picture.title)
        assert len(picture.alt) > len(picture.title) + 20


def test_a_figure_is_smaller_than_a_quarter_of_a_megabyte(result: Result) -> None:
    assert all(len(picture.svg) < 250_000 for picture in pictures(result))


def test_a_name_with_markup_is_escaped() -> None:
    for picture in pictures(make_result(["<b>&toy$_$", "iptables"])):
        ET.fromstring(picture.svg)  # noqa: S314 (our own text)
        assert "<b>" not in picture.svg


@pytest.mark.parametrize("modes", [["iptables"], ["ipvs"], ["toy"], ["iptables", "ipvs", "nftables", "toy", "ebpf"]])
def test_any_number_of_modes(modes: list[str]) -> None:
    assert [picture.name for picture in pictures(make_result(modes))] == NAMES


def test_figures_with_nothing_to_say_are_not_drawn(result: Result) -> None:
    empty = replaced(result, summaries={}, cdfs={}, by_position=(), sync_curve=(), load_curve=())
    assert pictures(empty) == ()
    assert pictures(dataclasses.replace(result, modes={})) == ()


def test_empty_and_zero_distributions_are_not_drawn(result: Result) -> None:
    nothing = Cdf(np.zeros(0), np.zeros(0))
    zeros = Cdf(np.zeros(3), np.linspace(0.3, 1, 3))
    for cdf in (nothing, zeros):
        assert latency.picture(replaced(result, cdfs={latency.MEASURE: cdf})) is None
        assert network_programming.picture(replaced(result, cdfs={network_programming.TRUE: cdf})) is None


def test_a_distribution_of_one_value_is_drawn(result: Result) -> None:
    one = Cdf(np.array([3e-6]), np.array([1.0]))
    drawn = [picture.name for picture in pictures(replaced(result, cdfs={latency.MEASURE: one}))]
    assert drawn[0] == "latency"


def test_summaries_may_be_missing_under_a_distribution(result: Result) -> None:
    assert [picture.name for picture in pictures(replaced(result, summaries={}))] == NAMES


# ── Titles ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_first_packet_title_names_both_ends_and_their_ratio(result: Result) -> None:
    p99 = {mode: found.summaries[latency.MEASURE].quantiles["p99"].value for mode, found in result.modes.items()}
    said = latency.headline(result)
    ratio = float(said[said.rindex("(") + 1 : -2])
    assert ratio == pytest.approx(p99["iptables"] / p99["ipvs"], rel=0.05)
    assert f"iptables {p99['iptables'] * 1e6:.1f} µs" in said


def test_modes_whose_intervals_touch_are_not_ranked() -> None:
    result = make_result(["ipvs", "toy"])
    same = make_mode("ipvs")
    alike = dataclasses.replace(result, modes={"ipvs": same, "toy": dataclasses.replace(same, mode="toy")})
    assert "cannot be told apart" in latency.headline(alike)
    assert "alike" in network_programming.headline(alike)
    assert "in every mode" in load.headline(alike)


@given(st.floats(0, 1e-7), st.floats(1e-6, 1e-4))
@settings(max_examples=30, deadline=None)
def test_position_title_says_what_the_bins_say(slope: float, fixed: float) -> None:
    bins = tuple(dataclasses.replace(b, mean_s=fixed + slope * b.position) for b in make_mode("toy").by_position)
    found = dataclasses.replace(make_mode("toy"), by_position=bins)
    said = position.headline(dataclasses.replace(make_result(["toy"]), modes={"toy": found}))
    ratio = bins[-1].mean_s / bins[0].mean_s
    if abs(ratio - 1) <= position.FLAT:
        assert said == f"toy: a first packet costs the same at the top and {bins[-1].position:,.0f} rules below"
    else:
        number = float(said.removeprefix("toy: the last Services cost ").removesuffix("x the first").replace(",", ""))
        assert number == pytest.approx(ratio, rel=0.06)


def curve(seconds: Sequence[float], extrapolated_from: int = 10**9) -> tuple[SyncPoint, ...]:
    sizes = [100 * 4**i for i in range(len(seconds))]
    return tuple(SyncPoint("full", n, n, s, s, s, n >= extrapolated_from) for n, s in zip(sizes, seconds, strict=True))


def with_curve(points: tuple[SyncPoint, ...], thresholds: Sequence[Threshold] = ()) -> Result:
    result = make_result(["toy"], thresholds=())
    scenario = dataclasses.replace(result.scenario, thresholds=tuple(thresholds))
    found: ModeResult = dataclasses.replace(result.modes["toy"], sync_curve=points)
    return dataclasses.replace(result, scenario=scenario, modes={"toy": found})


@given(st.lists(st.floats(1.05, 30), min_size=2, max_size=6), st.floats(1e-3, 3))
@settings(max_examples=60, deadline=None)
def test_sync_title_is_true_to_the_curve(steps: list[float], first: float) -> None:
    seconds = (first * np.cumprod(steps)).tolist()
    points = curve(seconds)
    said = sync.headline(with_curve(points)).replace("at about", "at")
    if seconds[0] >= 1:
        assert said == "toy full sync takes over 1 s at every size drawn"
    elif seconds[-1] < 1:
        assert said == f"toy full sync stays under 1 s up to {points[-1].services:,} Services"
    else:
        match = re.fullmatch(r"toy full sync passes 1 s at ([\d,]+) Services", said)
        assert match is not None
        at = sync.seconds_at(list(points), float(match[1].replace(",", "")))
        if at is not None:  # two digits of the size may fall just outside the curve
            assert at == pytest.approx(1, rel=0.35)


def test_sync_title_says_when_the_crossing_is_extrapolated_and_uses_the_objective() -> None:
    points = curve([0.1, 0.5, 3.0], extrapolated_from=1600)
    assert sync.headline(with_curve(points)).endswith("Services (extrapolated)")
    half = Threshold("sync_duration_full", "p99", "<", 0.2, "p99 < 200ms")
    said = sync.headline(with_curve(points, [half]))
    assert "passes 200 ms" in said
    assert "extrapolated" not in said


def test_sync_title_keeps_to_a_time_only_as_far_as_the_dearest_prices_do() -> None:
    points = tuple(dataclasses.replace(point, high_s=4 * point.seconds) for point in curve([0.1, 0.2, 0.4]))
    assert sync.headline(with_curve(points)) == "toy full sync stays under 1 s up to 620 Services"
    dear = tuple(dataclasses.replace(point, high_s=2.0) for point in points)
    assert sync.headline(with_curve(dear)) == "toy full sync may pass 1 s at every size drawn, by its prices"
    guess = tuple(dataclasses.replace(point, seconds=2.0, extrapolated=True) for point in points)
    assert sync.headline(with_curve(guess)) == "toy full sync takes over 1 s at every size drawn (extrapolated)"


def test_sync_note_says_where_prices_leave_the_crossing() -> None:
    points = tuple(dataclasses.replace(p, low_s=p.seconds / 2, high_s=2 * p.seconds) for p in curve([0.1, 0.4, 1.6]))
    drawn = pictures(with_curve(points))
    (note,) = [picture.note for picture in drawn if picture.name == "sync"]
    assert "By prices 1 s is passed at: toy 500 to beyond the largest." in note


def test_programming_title_quotes_the_metric_of_the_slowest_mode(result: Result) -> None:
    said = network_programming.headline(result)
    metric = result.modes["iptables"].summaries[network_programming.REPORTED].quantiles["p99"].value
    assert said.endswith(f"reads {metric:.1f} s for iptables")
    assert "6.29 s with ipvs and 9.65 s with iptables" in said


def test_load_title_gives_the_capacity(result: Result) -> None:
    said = load.headline(result)
    for mode, found in result.modes.items():
        number = re.search(rf"([\d,]+)(?: new connections/s)? with {mode}", said)
        assert number is not None
        assert float(number[1].replace(",", "")) == pytest.approx(found.capacity_per_s, rel=0.005)


def test_titles_of_ranked_modes_need_every_mode_to_support_the_percentile(result: Result) -> None:
    summary = result.modes["ipvs"].summaries[latency.MEASURE]
    poor = dataclasses.replace(summary, quantiles={"p50": Estimate(2e-5)})
    found = dataclasses.replace(result.modes["ipvs"], summaries={latency.MEASURE: poor})
    said = latency.headline(dataclasses.replace(result, modes={**result.modes, "ipvs": found}))
    assert "at p50" in said


# ── Sweeps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def frame(sizes: Sequence[float] = (100, 1000, 10_000), modes: Sequence[str] = ("iptables", "ipvs")) -> pd.DataFrame:
    rows = []
    for size in sizes:
        for mode in modes:
            for statistic, times in (("p50", 1.0), ("p99", 2.0)):
                value = times * (18e-6 + (7e-9 * size if mode == "iptables" else 0))
                rows.append((size, mode, latency.MEASURE, statistic, value, 0.9 * value, 1.1 * value))
    return pd.DataFrame(rows, columns=["services.count", "mode", "measure", "statistic", "value", "low", "high"])


def test_scale_title_is_the_growth_of_the_highest_percentile() -> None:
    said = scale_headline(frame(), "services.count", latency.MEASURE, "Services")
    growth = (18e-6 + 7e-5) / (18e-6 + 7e-7)
    assert f"grows {growth:.2g}x with iptables and stays flat with ipvs from 100 to 10,000 Services" in said


def test_scale_figure_takes_strings_missing_intervals_and_an_objective() -> None:
    sweep = frame().assign(low=np.nan, high=np.nan)
    sweep["services.count"] = sweep["services.count"].astype(str)
    objective = Threshold(latency.MEASURE, "p99", "<", 1e-3, "p99 < 1ms")
    drawn = scale_picture(sweep, "services.count", name="Services", today=5000, objective=objective)
    assert drawn is not None
    assert drawn == scale_picture(sweep, "services.count", name="Services", today=5000, objective=objective)


def test_scale_figure_of_one_size_or_no_rows_is_not_drawn() -> None:
    assert scale_picture(frame(sizes=[100]), "services.count") is None
    assert scale_picture(frame().head(0), "services.count") is None


# ── Looks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_modes_look_the_same_everywhere_and_unlike_one_another() -> None:
    known = [mode_style(mode) for mode in ("iptables", "ipvs", "nftables", "userspace", "kernelspace", "ebpf")]
    assert len({style.color for style in known}) == len({style.marker for style in known}) == len(known)
    assert mode_style("toy") == mode_style("toy")
    assert mode_style("toy").color not in {style.color for style in known}


# ── Swings and duty ──────────────────────────────────────────────────────────────────────────────────────────────────


def swung(result: Result) -> Result:
    """With the swings of two coefficients."""
    swings = {
        "network_programming_true": (
            Swing("rule_present", "study", "p99", 4.0, 3.0, 6.0, 0.9),
            Swing("pod.status_patch", "assumed", "p99", 4.0, 3.9, 4.9, 0.1),
            Swing("nothing", "study", "p99", 4.0, 4.0, 4.0, 1e-5),
        )
    }
    return replaced(result, swings=swings)


def test_the_tornado_is_of_the_measure_asked_for_and_names_its_widest(result: Result) -> None:
    drawn = tornado.picture(swung(result))
    assert drawn is not None
    assert (
        drawn.title
        == "The interval of one price, rule present, puts network programming latency p99 at 3.00 s to 6.00 s"
    )
    assert "status patch (assumed): 3.90 s to 4.90 s" in drawn.alt
    assert "nothing" not in drawn.alt
    assert tornado.picture(result) is None


def test_duty_says_where_syncs_take_all_of_the_time(result: Result) -> None:
    rates = {"syncs_per_node_per_s": Estimate(0.5), "full_syncs_per_node_per_s": Estimate(0.5)}
    busy = replaced(result, rates=rates)
    for mode, found in busy.modes.items():
        shares = duty.duties(found)
        full = {p.services: p.seconds for p in found.sync_curve if p.kind == "full"}
        assert dict(shares) == pytest.approx({n: 0.5 * s for n, s in full.items()}), mode
        at = duty.filled(shares)
        assert at is not None
        assert duty.at(shares, at) == pytest.approx(1, rel=1e-6)
    assert "all of it from" in duty.headline(busy)
    idle = replaced(result, rates={name: Estimate(1e-4) for name in rates})
    assert duty.picture(idle) is None
    assert duty.picture(result) is None


def test_labels_of_an_axis_do_not_run_into_one_another() -> None:
    with drawing():
        sheet = Sheet("ticks", "Ticks", panels=2)
        log_ticks(sheet.axes[0].xaxis, 8e-6, 1.3e-5, "s")
        ticks = sheet.axes[0].get_xticks()
        room = 0.2 * math.log10(1.3e-5 / 8e-6)
        assert len(ticks) >= 2
        assert all(math.log10(b / a) >= room * 0.999 for a, b in pairwise(ticks))


def test_a_data_address_is_shorter_than_base64_and_ends_no_attribute(result: Result) -> None:
    for picture in pictures(result):
        uri = picture.data_uri
        assert len(uri) < 1.2 * len(picture.svg)
        assert not set('"<>&#()') & set(uri.partition(",")[2])
        ET.fromstring(unquote(uri.partition(",")[2]))  # noqa: S314 (our own text)
