"""The answer to a scenario's question, computed from a result and never saying more than its intervals allow.

The question decides the first sentence; the scenario's other questions, the headroom and the change that helps come
after it.  One mode is better than another only if the interval of their paired ratio leaves out 1.  Page, Markdown,
terminal and JSON all quote these sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kpsim.experiment.result import Result
from kpsim.report.answers.asked import about_asked
from kpsim.report.answers.events import about_events
from kpsim.report.answers.lookups import about_lookups
from kpsim.report.answers.objectives import Standing, about_objectives, headroom, latencies, mode_standing, worst
from kpsim.report.answers.question import Question, questions_of
from kpsim.report.answers.rest import about_nothing
from kpsim.report.wording.change import choice, configuration, current_mode, suggestion


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer is a sentence to the scenario's question, what else it asked, headroom and the change that helps.

    ``standing`` is the worst of any mode run ("unset" without objectives), as the exit code is; ``recommended`` the
    mode that ``change`` proposes; ``configuration`` the KubeProxyConfiguration for it, or for the current mode where
    nothing is proposed, if there is one to paste.
    """

    question: Question
    sentence: str
    more: tuple[str, ...]
    headroom: str
    change: str
    standing: Literal["met", "failed", "undecided", "unset"]
    recommended: str | None
    configuration: str | None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything in order: the answer, the scenario's other questions, headroom, change."""
        return tuple(text for text in (self.sentence, *self.more, self.headroom, self.change) if text)


def answer(result: Result) -> Answer:
    """Put a result into words."""
    current = current_mode(result)
    met = {mode: mode_standing(result, mode) for mode in result.modes}
    recommended, change = suggestion(result, current, met)
    first, *more = _all_said(result, met, recommended, change)
    unfinished = "" if result.complete else "The run is incomplete. "
    return Answer(
        question=questions_of(result.scenario)[0],
        sentence=f"{unfinished}{first}",
        more=tuple(more),
        headroom=headroom(result, [current] if recommended is None else [current, recommended]),
        change="" if questions_of(result.scenario)[0] is Question.COMPARISON else change,
        standing=worst(met.values()) if result.verdicts else "unset",
        recommended=recommended,
        configuration=configuration(result.scenario, recommended or current),
    )


def _all_said(result: Result, met: Mapping[str, Standing], recommended: str | None, change: str) -> list[str]:
    asked = questions_of(result.scenario)
    if asked[0] is Question.COMPARISON:
        others = [text for question in asked[1:] for text in _said(result, question, met)]
        each = [choice(result, recommended, change), *others, latencies(result)]
    else:
        each = [text for question in asked for text in _said(result, question, met)]
    return [text for text in each if text] or about_nothing(result)


def _said(result: Result, question: Question, met: Mapping[str, Standing]) -> list[str]:
    """Return the sentences that answer one question; nothing where another's say it, or the run saw none of it."""
    if question.value == result.scenario.ask and question is not Question.COMPARISON:
        return about_asked(result, question)
    if question is Question.THRESHOLDS:
        return [about_objectives(result, met)]
    if question is Question.EVENT:
        return about_events(result)
    if question is Question.DNS:
        return about_lookups(result)
    return about_nothing(result) if question is Question.NOTHING else []
