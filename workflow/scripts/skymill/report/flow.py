"""A flow: how many items came in, how many left or were added at each step, and how many remain.

The counts come from the documents of several jobs. If a total is not the sum of the counts before
it, the products are from different runs, which is an error.
"""

from dataclasses import dataclass, field

from skymill.engine.errors import SkymillError
from skymill.report.charts import BAR, NUMBER, WIDTH, draw, fill
from skymill.report.parts import drawing, folded, table

TOTAL, LEAVES, JOINS, PART = "total", "removed", "added", "part"
FILLS = {TOTAL: fill(0), LEAVES: fill(1), JOINS: fill(3), PART: fill(2)}


@dataclass
class Flow:
    """Counts in the order in which the data go through a branch.

    Parameters
    ----------
    unit
        The items that are counted, such as `records`.
    """

    unit: str
    _rows: list[tuple[str, str, int, int]] = field(default_factory=list)
    _now: int | None = None

    def total(self, name: str, count: int) -> None:
        """Add a total.

        Raises
        ------
        SkymillError
            If the total is not the sum of the counts before it.
        """
        self._require(name, count)
        self._now = count
        self._rows.append((name, TOTAL, count, 0))

    def leaves(self, name: str, count: int) -> None:
        """Subtract the items that leave for a reason. A count of 0 is not shown.

        Raises
        ------
        SkymillError
            If the count is negative.
        """
        if count < 0:
            self._require(name, count)
        self._now -= count
        if count:
            self._rows.append((name, LEAVES, count, self._now))

    def joins(self, name: str, count: int) -> None:
        """Add items. A count of 0 is not shown."""
        if count:
            self._rows.append((name, JOINS, count, self._now))
        self._now += count

    def parts(self, counts: dict[str, int]) -> None:
        """Divide the last total into parts.

        Raises
        ------
        SkymillError
            If the sum of the parts is not the last total.
        """
        self._require(" + ".join(counts), sum(counts.values()))
        before = 0
        for name, count in counts.items():
            self._rows.append((name, PART, count, before))
            before += count

    def _require(self, name: str, count: int) -> None:
        if self._now is not None and count != self._now:
            raise SkymillError(
                f"the counts of the report do not add up: {name} {count:,}, but the counts before "
                f"add up to {self._now:,} {self.unit}. The products come from different runs. "
                "Delete the folders of this branch in interim/ and preprocessed/ of the results "
                "folder, then run again."
            )

    @property
    def counts(self) -> dict[str, int]:
        """The counts by name."""
        return {name: count for name, _, count, _ in self._rows}

    def body(self, what: str) -> str:
        """Return the flow as a chart, and its numbers as a table."""
        alt = "; ".join(f"{name}: {_signed(kind, count)}" for name, kind, count, _ in self._rows)
        rows = [[name, kind, count] for name, kind, count, _ in self._rows]
        return drawing(self._draw(), f"{what}: {alt}") + folded(
            "Show these numbers as a table", table(["step", "kind", self.unit], rows, what)
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
