"""A flow: what came in, what left or was added on the way, and what is there at the end.

The counts come from documents of several jobs. A total that is not the sum of what comes before it
is an error: a product does not belong to the others.
"""

from dataclasses import dataclass, field

from skymill.engine.errors import SkymillError
from skymill.report.charts import BAR, NUMBER, WIDTH, draw, fill
from skymill.report.parts import drawing, folded, table

TOTAL, LEAVES, JOINS, PART = "there", "leaves", "is added", "a part"
FILLS = {TOTAL: fill(0), LEAVES: fill(1), JOINS: fill(3), PART: fill(2)}


@dataclass
class Flow:
    """Counts in the order in which the data go through a branch.

    Parameters
    ----------
    unit
        What is counted, such as `records`.
    """

    unit: str
    _rows: list[tuple[str, str, int, int]] = field(default_factory=list)
    _now: int | None = None

    def total(self, name: str, count: int) -> None:
        """Say how many there are now.

        Raises
        ------
        SkymillError
            When it is not what the counts before give.
        """
        self._require(name, count)
        self._now = count
        self._rows.append((name, TOTAL, count, 0))

    def leaves(self, name: str, count: int) -> None:
        """Say how many leave for a reason; a reason that nothing left for is not shown.

        Raises
        ------
        SkymillError
            When fewer than none leave.
        """
        if count < 0:
            self._require(name, count)
        self._now -= count
        if count:
            self._rows.append((name, LEAVES, count, self._now))

    def joins(self, name: str, count: int) -> None:
        """Say how many are added; what adds nothing is not shown."""
        if count:
            self._rows.append((name, JOINS, count, self._now))
        self._now += count

    def parts(self, counts: dict[str, int]) -> None:
        """Say what the present ones consist of.

        Raises
        ------
        SkymillError
            When the parts are not what is there.
        """
        self._require(" + ".join(counts), sum(counts.values()))
        before = 0
        for name, count in counts.items():
            self._rows.append((name, PART, count, before))
            before += count

    def _require(self, name: str, count: int) -> None:
        if self._now is not None and count != self._now:
            raise SkymillError(
                f"the counts of the report do not add up: {name} {count:,}, but what comes before "
                f"gives {self._now:,} {self.unit}. A product does not belong to the others: delete "
                "the branch's folders in interim/ and preprocessed/ of the results folder and run "
                "again."
            )

    @property
    def counts(self) -> dict[str, int]:
        """The counts by their names."""
        return {name: count for name, _, count, _ in self._rows}

    def body(self, what: str) -> str:
        """Return the flow as a drawing, and the same numbers as a table."""
        told = "; ".join(f"{name}: {_signed(kind, count)}" for name, kind, count, _ in self._rows)
        rows = [[name, kind, count] for name, kind, count, _ in self._rows]
        return drawing(self._draw(), f"{what}: {told}") + folded(
            "The same as a table", table(["step", "what happens", self.unit], rows, what)
        )

    def _draw(self) -> str:
        rows = [
            {
                "name": name,
                "kind": kind,
                "first": first,
                "last": first + count,
                "text": _signed(kind, count),
            }
            for name, kind, count, first in self._rows
        ]
        names = [row["name"] for row in rows]
        kinds = [kind for kind in FILLS if any(row["kind"] == kind for row in rows)]
        return draw(
            {
                "width": WIDTH,
                "height": BAR * len(rows) + 80,
                "autosize": {"type": "fit", "contains": "padding"},
                "padding": {"left": 2, "top": 4, "right": 50, "bottom": 2},
                "data": {"values": rows},
                "encoding": {
                    "y": {"field": "name", "type": "nominal", "sort": names, "title": None},
                },
                "layer": [
                    {
                        "mark": {"type": "bar", "height": BAR - 8},
                        "encoding": {
                            "x": {
                                "field": "first",
                                "type": "quantitative",
                                "title": self.unit,
                                "axis": {"tickCount": 4, "labelExpr": NUMBER, "labelOverlap": True},
                            },
                            "x2": {"field": "last"},
                            "color": {
                                "field": "kind",
                                "type": "nominal",
                                "sort": kinds,
                                "scale": {"domain": kinds, "range": [FILLS[one] for one in kinds]},
                                "legend": {"title": None},
                            },
                        },
                    },
                    {
                        "mark": {"type": "text", "align": "left", "dx": 4},
                        "encoding": {
                            "x": {"field": "last", "type": "quantitative"},
                            "text": {"field": "text"},
                        },
                    },
                ],
            }
        )


def _signed(kind: str, count: int) -> str:
    return {LEAVES: "\N{MINUS SIGN}", JOINS: "+"}.get(kind, "") + f"{count:,}"
