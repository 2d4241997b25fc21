"""A page with figures tells which bounds predictions keep, which they miss, by how much and on what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from kpsim.experiment.validation.verdicts import Validation, Verdict, coverage
from kpsim.profiles.shipped import parse_yaml
from kpsim.report.figures.canvas import Picture
from kpsim.report.figures.held import pictures
from kpsim.report.validation.blocks import Block, Heading, Points, Table, as_html, as_markdown
from kpsim.report.validation.scores import Score, by_topic, scored, scores, share
from kpsim.report.wording.quantity import count, percent
from kpsim.report.wording.ranking import listed

SHORT = (
    "prediction of",
    "records",
    "seen by a fit",
    "median error",
    "nine of ten within",
    "in 95 % intervals",
    "bound",
)
FULL = (
    "quantity", "mode", "seen by a fit", "records", "median error", "nine of ten within", "worst",
    "in 95 % intervals", "bound", "verdict",
)  # fmt: skip
ABOUT = (
    "Errors are shares of what was measured: |predicted / measured - 1|. Every record is predicted whatever its value, "
    "but for CPU that the model says to be below half a tick of its clock; where a clock counted less than a tick of "
    "4 ms, or was read too early, errors are large and intervals wide (∞: it read nothing). Records a fit has seen "
    "are explained rather than predicted; MEASURED.md tells how well whole sizes and configurations are predicted that "
    "were left out of the fits."
)


def blocks(found: Validation, drawn: Sequence[Picture]) -> list[Block]:
    """Return the page about all records of one validation."""
    scored_all = scores(found.verdicts)
    parts: list[Block] = [Heading("How far to believe kpsim", 1), _opening(found)]
    short = short_table(found)
    parts += [ABOUT, short, *drawn] if short.rows else drawn
    met = [score for score in scored_all if score.verdict == "met"]
    missed = [score for score in scored_all if score.verdict == "missed"]
    if met:
        parts += [Heading("What it gets right"), Points(_met(met))]
    if missed:
        parts += [Heading("What it misses, and by how much"), Points([_missed(score) for score in missed])]
    parts += [Heading("By quantity and mode"), Table(FULL, [_row(score) for score in scored_all])]
    parts += [Heading("Where studies contradict each other"), CONTRADICT, _contradictions()]
    if found.refusals:
        reasons = Counter(refusal.reason for refusal in found.refusals)
        parts += [
            Heading("Not predicted"),
            Table(("records", "reason"), [(count(n), why) for why, n in sorted(reasons.items(), key=_most)]),
        ]
    return parts


CONTRADICT = "Both figures stand; each study is fitted by itself, and none is chosen."


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _opening(found: Validation) -> str:
    unseen = [verdict for verdict in found.verdicts if not verdict.fitted]
    rest = f", and {percent(coverage(unseen))} of the {count(len(unseen))} that no fit has seen" if unseen else ""
    said = f"{count(len(found.verdicts))} measurements are predicted, {count(len(found.refusals))} are not."
    if not found.verdicts:
        return said
    return f"{said} 95 % intervals hold {percent(coverage(found.verdicts))} of them{rest}."


def short_table(found: Validation) -> Table:
    """Return a row a topic: of what no fit has seen, or of all its records where a fit has seen every one."""
    rows = []
    for topic, every in by_topic(found.verdicts):
        if not topic.short:
            continue
        unseen = [verdict for verdict in every if not verdict.fitted]
        score = scored(topic, "", unseen or every, fitted=not unseen)
        rows.append(
            [topic.topic, count(score.rows), _seen(score), share(score.median), share(score.nine_of_ten),
             percent(score.inside), _standing(every, score)]
        )  # fmt: skip
    return Table(SHORT, rows)


def _standing(every: Sequence[Verdict], whole: Score) -> str:
    """Return the bound's standing, mode by mode: "met", or the modes that miss it."""
    mine = [score for score in scores(every) if score.fitted is whole.fitted]
    missed = [score for score in mine if score.verdict == "missed"]
    if not missed:
        return "met" if any(score.verdict == "met" for score in mine) else "none"
    what = listed(f"{score.mode} ({'; '.join(score.missed)})" for score in missed)
    return f"missed by {what}"


def _seen(score: Score) -> str:
    return "yes" if score.fitted else "no"


def _met(mine: Sequence[Score]) -> list[str]:
    topics: dict[str, list[Score]] = {}
    for score in mine:
        topics.setdefault(score.topic.topic, []).append(score)
    return [
        f"{topic}: {'; '.join(f'{s.mode}{_mark(s)} {share(s.median)} of {count(s.rows)}' for s in each)}"
        for topic, each in topics.items()
    ]


def _mark(score: Score) -> str:
    return " (fitted)" if score.fitted else ""


def _missed(score: Score) -> str:
    return f"{score.topic.topic}, {score.mode}{_mark(score)}, {count(score.rows)} records: {listed(score.missed)}"


def _row(score: Score) -> list[str]:
    errors = [share(each) for each in (score.median, score.nine_of_ten, score.worst)]
    return [
        score.topic.topic, score.mode, _seen(score), count(score.rows), *errors, percent(score.inside), score.bound,
        score.verdict,
    ]  # fmt: skip


def _contradictions() -> Table:
    text = resources.files("kpsim.calibration").joinpath("contradictions.yaml").read_text(encoding="utf-8")
    rows = [
        [each["about"], each["one"], each["other"], each["explained"], each["kpsim"], each["read"]]
        for each in parse_yaml(text)
    ]
    return Table(("about", "one says", "another says", "what would explain it", "kpsim", "read in"), rows)


def write_page(found: Validation, directory: Path) -> Path:
    """Write ``report.md``, ``report.html`` and the figures; return the Markdown's path."""
    drawn = pictures(found.verdicts)
    (directory / "figures").mkdir(parents=True, exist_ok=True)
    for picture in drawn:
        picture.write(directory / "figures")
    page = blocks(found, drawn)
    (directory / "report.html").write_text(as_html(page), encoding="utf-8", newline="\n")
    path = directory / "report.md"
    path.write_text(as_markdown(page), encoding="utf-8", newline="\n")
    return path
