"""Events as a scenario writes them: ``{at: 120s, rollout: {service: shop/web, maxSurge: 25%}}``.

The keys of each kind follow from its class; here is what stands around them, and what is asked of all events together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import make_dataclass, replace
from typing import Annotated, Any

from kpsim.declared import Declared
from kpsim.documents import Key, dotted
from kpsim.errors import did_you_mean
from kpsim.history.events import EVENTS, Event, Setting
from kpsim.scenario.complaints import Complaints
from kpsim.scenario.model import RunParams
from kpsim.units import format_duration

KEY: Key = ("spec", "changes", "events")


def name_of_kind(kind: type[Event]) -> str:
    """Return the key of an event kind: ``nodeLoss`` of ``NodeLoss``."""
    return kind.__name__[:1].lower() + kind.__name__[1:]


def _said(kind: type[Event]) -> str:
    return (kind.__doc__ or "").split("\n")[0].rstrip(".").replace("``", "")


KINDS = {name_of_kind(kind): kind for kind in EVENTS}
EVENT_ITEM = make_dataclass(
    "EventItem",
    [
        ("at_s", Annotated[float, Declared("When it begins, since the run began")]),
        *((name, Annotated[kind | None, Declared(_said(kind))], None) for name, kind in KINDS.items()),
    ],
    frozen=True,
    slots=True,
)


def item_of(event: Event) -> Any:
    """Return the list item that an event stands in."""
    return EVENT_ITEM(at_s=event.at_s, **{name_of_kind(type(event)): event})


def events_of(items: Sequence[Any], setting: Setting, run: RunParams, complaints: Complaints) -> tuple[Event, ...]:
    """Return the events of a scenario, in file order; what cannot be is complained of."""
    found: list[Event] = []
    controllers: dict[str, str] = {}
    for index, item in enumerate(items):
        key: Key = (*KEY, index)
        named = {name: event for name in KINDS if (event := getattr(item, name, None)) is not None}
        if item is None or (not named and complaints.about(dotted(key))):
            continue
        if len(named) != 1:
            what = f"names {len(named)} events: {', '.join(named)}" if named else "names no event"
            mend = "write one list item each" if named else f"there are {', '.join(KINDS)}"
            complaints.problem(key, what, mend)
            continue
        ((name, event),) = named.items()
        event = replace(event, at_s=item.at_s)
        _check(event, (*key, name), setting, complaints)
        service, controller = event.service_named(), event.controller
        if controller and controllers.setdefault(service, controller) != controller:
            complaints.problem((*key, name), "a workload cannot be a Deployment and a StatefulSet", on_key=True)
        if event.at_s >= run.duration_s:
            what = f"{format_duration(event.at_s)} is not before the end of the run, {format_duration(run.duration_s)}"
            complaints.problem((*key, "at"), what, "let it begin earlier, or raise run.duration")
        elif event.at_s < run.warmup_s:
            complaints.warning(f"changes.events[{index}] begins during the warm-up; what happens in it is not measured")
        found.append(event)
    return tuple(found)


def _check(event: Event, key: Key, setting: Setting, complaints: Complaints) -> None:
    written = complaints.tree.at(key)
    given = [name for name, value in written.items() if value is not None] if isinstance(written, dict) else []
    for objection in event.objections(setting, given):
        mend = did_you_mean(*objection.near) or objection.mend
        place = (*key, objection.key) if objection.key else key
        complaints.problem(place, objection.what, mend, on_key=objection.on_key)
