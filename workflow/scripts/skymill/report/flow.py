"""What became of everything that was read, stage by stage; the counts have to add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skymill.engine.errors import SkymillError
from skymill.report.charts import BAR, draw, fill
from skymill.report.parts import drawing

_INDENT, _NAMES, _NUMBERS, _BARS = 16, 206, 116, 200
"""Pixels left of the names of the parts, and for names, numbers and bars beside one another: on a
narrow screen names and numbers are seen without scrolling."""


@dataclass(frozen=True)
class Stage:
    """One stage of a flow: so many things, and what became of them.

    Attributes
    ----------
    what
        What is counted, such as `Alerts in the nights`.
    total
        How many there are.
    stays
        Numbers by name of what goes on to the next stage.
    leaves
        Numbers by name of what does not, such as rejected records by reason.
    is_new
        Whether other things are counted than in the stage before, so that its total is not what
        went on there.
    """

    what: str
    total: int
    stays: Mapping[str, int]
    leaves: Mapping[str, int] = field(default_factory=dict)
    is_new: bool = False


def require_sums(stages: Sequence[Stage]) -> None:
    """Raise SkymillError when a stage is not the sum of its parts, or not what went on before."""
    before = None
    for stage in stages:
        parts = sum(stage.stays.values()) + sum(stage.leaves.values())
        if parts != stage.total or min([0, *stage.stays.values(), *stage.leaves.values()]) < 0:
            raise _unequal(f"{stage.what}: {stage.total:,}, but the parts are {parts:,}")
        if before is not None and not stage.is_new and stage.total != sum(before.stays.values()):
            went_on = sum(before.stays.values())
            raise _unequal(
                f"{stage.what}: {stage.total:,}, but {went_on:,} are left of {before.what}"
            )
        before = stage


def _unequal(what: str) -> SkymillError:
    return SkymillError(
        f"the counts of the report do not add up. {what}. Type `skymill verify --repair`, with the "
        "name of the results folder unless it is data/, and run again. If the message comes again, "
        "the counts are wrong: please report it."
    )


def flow(stages: Sequence[Stage]) -> str:
    """Return the drawing of a flow with its description, after a check of the sums.

    A stage has a bar for each part, as long as its share of the stage. Parts that leave have
    another colour and pattern, and a cross before their name. Parts of nothing that leave are not
    drawn.
    """
    require_sums(stages)
    rows, told = [], []
    for stage in stages:
        rows.append({"text": f"{stage.what}: {stage.total:,}", "kind": "head"})
        told.append(f"{stage.what}: {stage.total:,}. {_sentence(stage)}")
        for kind, mark, parts in (("stays", "→", stage.stays), ("leaves", "✕", _some(stage))):
            for name, number in parts.items():
                share = number / stage.total if stage.total else 0
                rows.append(
                    {
                        "text": f"{mark} {name}",
                        "kind": kind,
                        "share": share,
                        "number": f"{number:,}" + (f" ({share:.1%})" if stage.total else ""),
                    }
                )
    for place, row in enumerate(rows):
        row["place"] = place
    return drawing(draw(_spec(rows)), " ".join(told))


def _some(stage: Stage) -> dict[str, int]:
    return {name: number for name, number in stage.leaves.items() if number}


def _sentence(stage: Stage) -> str:
    stays = ", ".join(f"{name} {number:,}" for name, number in stage.stays.items())
    leaves = ", ".join(f"{name} {number:,}" for name, number in _some(stage).items())
    return f"Of these: {stays}." + (f" Left out: {leaves}." if leaves else "")


def _spec(rows: list[dict]) -> dict:
    y = {"field": "place", "type": "ordinal", "axis": None}

    def text(name: str, of: str, left: int, room: int, weight: str = "normal") -> dict:
        mark = {"type": "text", "align": "left", "limit": room, "fontWeight": weight}
        return {
            "transform": [{"filter": f"datum.kind {of} 'head'"}],
            "mark": {**mark, "color": "var(--ink)"},
            "encoding": {"y": y, "x": {"value": left}, "text": {"field": name}},
        }

    begin = _NAMES + _NUMBERS
    bars = {
        "transform": [{"filter": "datum.kind != 'head'"}],
        "mark": {"type": "bar", "height": BAR - 10},
        "encoding": {
            "y": y,
            "x": {
                "field": "share",
                "type": "quantitative",
                "scale": {"domain": [0, 1], "range": [begin, begin + _BARS]},
                "axis": None,
                "stack": None,
            },
            "color": {
                "field": "kind",
                "type": "nominal",
                "scale": {"domain": ["stays", "leaves"], "range": [fill(0), fill(1)]},
                "legend": None,
            },
        },
    }
    return {
        "width": begin + _BARS,
        "height": BAR * len(rows),
        "autosize": {"type": "none"},
        "padding": {"left": 2, "top": 4, "right": 4, "bottom": 4},
        "data": {"values": rows},
        "layer": [
            bars,
            text("text", "==", 0, begin + _BARS, "bold"),
            text("text", "!=", _INDENT, _NAMES - _INDENT - 6),
            text("number", "!=", _NAMES, _NUMBERS),
        ],
    }
