"""A scenario's question follows from its parts: thresholds, an event, names, a comparison, an axis, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from kpsim.scenario.model import Scenario


class Question(StrEnum):
    """A kind of question, as ``answer.question`` in summary.json has it."""

    CPU = "cpu"  # asked for: why does kube-proxy need so much of it
    UPDATES = "updates"  # asked for: why are changes of endpoints late
    BALANCE = "balance"  # asked for: how evenly are connections spread
    SWEEP = "sweep"  # where is an objective crossed, where do modes change places
    THRESHOLDS = "thresholds"  # are the objectives met
    EVENT = "event"  # what does an event cost, and what would end that
    DNS = "dns"  # what does a name cost
    COMPARISON = "comparison"  # which mode; implied by several of them, or asked for: then it comes first
    NOTHING = "nothing"  # what does it cost when nothing else is asked


def questions_of(scenario: Scenario, axes: Sequence[str] = ()) -> tuple[Question, ...]:
    """Return every question of a scenario (of a point of a sweep over ``axes``); the first decides the headline.

    >>> questions_of(Scenario("two", modes=("iptables", "nftables")))
    (<Question.COMPARISON: 'comparison'>,)
    >>> questions_of(Scenario("why", ask="cpu"))
    (<Question.CPU: 'cpu'>,)
    >>> [question.value for question in questions_of(Scenario("one"))]
    ['nothing']
    """
    asked = (
        (Question.SWEEP, bool(axes)),
        (Question.THRESHOLDS, bool(scenario.thresholds)),
        (Question.EVENT, bool(scenario.events)),
        (Question.DNS, scenario.dns.clients_use_names),
        (Question.COMPARISON, len(scenario.modes) > 1),
    )
    first = [] if scenario.ask is None else [Question(scenario.ask)]
    return tuple(dict.fromkeys([*first, *(question for question, so in asked if so)])) or (Question.NOTHING,)
