"""The charts of the report. Vega-Lite draws them as SVG.

Colours are CSS variables and patterns of the page (see style.py), so the same picture works on a
light and on a dark screen. Each series has a colour and also a pattern or dashes, and each bar has
its number, so readers do not need to see colours. The palette is from Okabe and Ito (2008).
Text in a chart stays text. The same numbers always make the same bytes.
"""

import re
from collections.abc import Mapping, Sequence

from skymill.engine.markdown import escaped

WIDTH = 660
"""Width of a chart in pixels, including axes. The chart keeps this width on a narrow screen."""

NARROW = 310
"""Width of a chart among several charts side by side. It fits on a phone."""

BAR = 24
"""Height of a row of bars in pixels."""

SQUARE = 13
"""Pixels from one square to the next in `units`."""

FILLS = 8
"""Number of fills of the page: `fill(0)` to `fill(7)`."""

_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_INK, _MUTED, _LINE = "var(--ink)", "var(--muted)", "var(--line)"
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3], [10, 4], [3, 1]]

_AXIS = {
    "labelColor": _INK,
    "titleColor": _INK,
    "domainColor": _MUTED,
    "tickColor": _MUTED,
    "gridColor": _LINE,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelLimit": 260,
}
_THEME = {
    "font": _FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {
        "labelColor": _INK,
        "titleColor": _INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
        "symbolStrokeColor": _INK,
        "symbolSize": 160,
        "labelLimit": 260,
    },
    "header": {"labelColor": _INK, "titleColor": _INK, "labelFontSize": 12, "labelLimit": 300},
    "title": {"color": _INK, "fontSize": 13, "anchor": "start", "fontWeight": "bold"},
    "text": {"color": _INK, "fontSize": 12},
    "bar": {"stroke": _INK, "strokeWidth": 0.6},
    "rule": {"color": _MUTED},
}

NUMBER = "format(datum.value, abs(datum.value) < 1e7 ? ',~r' : '.3~g')"
"""Format of the numbers at an axis, as Vega-Lite's `labelExpr`."""

_UNUSED = re.compile(
    r' (role|aria-[a-z]+|class|font-family|pointer-events|xmlns:xlink|version)="[^"]*"'
)
_EMPTY = re.compile(r'<path d="(M0,0h0v0h0Z)?"( display="none")?(/>|></path>)')


def fill(number: int) -> str:
    """Return the fill of a series: a colour with a pattern, see style.PATTERNS."""
    return f"url(#fill{number % FILLS})"


def colour(number: int) -> str:
    """Return the colour of a series without a pattern, for lines and points."""
    return f"var(--c{number % FILLS})"


def draw(spec: Mapping) -> str:
    """Return the SVG of a Vega-Lite specification in the theme of the report.

    Descriptions of single shapes are removed: parts.drawing describes the whole chart.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg({**spec, "config": {**_THEME, **spec.get("config", {})}})
    return _EMPTY.sub("", _UNUSED.sub("", svg))


def bars(
    values: Mapping[str, float],
    *,
    unit: str,
    width: int = WIDTH,
    log: bool = False,
    shown: Mapping[str, str] | None = None,
) -> str:
    """Return a horizontal bar for each name, in the given order, with its number at the end.

    Parameters
    ----------
    values
        Numbers by name.
    unit
        The unit of the numbers, which is the title of the axis.
    log
        Whether the axis is logarithmic. A zero has no bar, but its number is written.
    shown
        Text to write at a bar instead of its number.
    """
    rows = [
        {"name": name, "value": value, "text": (shown or {}).get(name, _text(value))}
        for name, value in values.items()
    ]
    return draw(
        {
            **_frame(width, BAR * max(1, len(values)) + 50),
            "data": {"values": rows},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": list(values), "title": None},
                "x": {
                    "field": "value",
                    "type": "quantitative",
                    "title": unit,
                    "scale": {"type": "symlog"} if log else {"zero": True},
                    "axis": _few_ticks(log),
                },
            },
            "layer": [
                {
                    "mark": {"type": "bar", "height": BAR - 8},
                    "encoding": {"color": {"value": fill(0)}},
                },
                {
                    "mark": {"type": "text", "align": "left", "dx": 4},
                    "encoding": {"text": {"field": "text"}},
                },
            ],
        }
    )


def stacked(
    values: Mapping[str, Mapping[str, float]],
    *,
    unit: str,
    series_title: str | None = None,
    width: int = WIDTH,
    share: bool = False,
) -> str:
    """Return horizontal bars of stacked series: {name: {series: number}}.

    Each series has a pattern. With `share`, all bars have the same length and show shares.
    """
    series = list(dict.fromkeys(name for part in values.values() for name in part))
    rows = [
        {"name": name, "series": one, "value": part[one], "order": series.index(one)}
        for name, part in values.items()
        for one in part
    ]
    axis = {"tickCount": 4, "format": "%"} if share else _few_ticks(False)
    return draw(
        {
            **_frame(width, BAR * max(1, len(values)) + 90),
            "data": {"values": rows},
            "mark": {"type": "bar", "height": BAR - 8},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": list(values), "title": None},
                "x": {
                    "field": "value",
                    "type": "quantitative",
                    "title": unit,
                    "stack": "normalize" if share else "zero",
                    "axis": axis,
                },
                "color": _fills(series, legend=_legend(series, series_title, width)),
                "order": {"field": "order", "type": "quantitative"},
            },
        }
    )


def grouped(
    values: Mapping[str, Mapping[str, float]],
    *,
    unit: str,
    series_title: str | None = None,
    width: int = WIDTH,
    log: bool = False,
    shown: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Return groups of horizontal bars with their numbers: {name: {series: number}}."""
    series = list(dict.fromkeys(name for part in values.values() for name in part))
    rows = [
        {
            "name": name,
            "series": one,
            "value": value,
            "text": (shown or {}).get(name, {}).get(one, _text(value)),
        }
        for name, part in values.items()
        for one, value in part.items()
    ]
    scale = {"type": "symlog"} if log else {"zero": True}
    return draw(
        {
            **_frame(width, 18 * len(series) * max(1, len(values)) + 90),
            "data": {"values": rows},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": list(values), "title": None},
                "yOffset": {"field": "series", "sort": series},
                "x": {
                    "field": "value",
                    "type": "quantitative",
                    "title": unit,
                    "scale": scale,
                    "axis": _few_ticks(log),
                },
            },
            "layer": [
                {
                    "mark": {"type": "bar"},
                    "encoding": {
                        "color": _fills(series, legend=_legend(series, series_title, width))
                    },
                },
                {
                    "mark": {"type": "text", "align": "left", "dx": 4, "fontSize": 11},
                    "encoding": {"text": {"field": "text"}},
                },
            ],
        }
    )


def lines(
    series: Mapping[str, Sequence[tuple[float, float | None]]],
    *,
    x: str,
    title: str,
    width: int = NARROW,
    height: int = 200,
) -> str:
    """Return a line of (x, y) points for each series. A y of None leaves a gap.

    The place of a series decides its colour and dashes. `line_key` makes the legend.
    """
    rows = [
        {"x": at, "y": value, "series": name} for name, path in series.items() for at, value in path
    ]

    def looks(values: list) -> dict:
        scale = {"domain": list(series), "range": values}
        return {"field": "series", "type": "nominal", "scale": scale, "legend": None}

    near = {"zero": False, "nice": False}
    axis = _few_ticks(False)
    return draw(
        {
            **_frame(width, height),
            "title": title,
            "data": {"values": rows},
            "mark": {
                "type": "line",
                "strokeWidth": 2,
                "invalid": "break-paths-show-path-domains",
            },
            "encoding": {
                "x": {
                    "field": "x",
                    "type": "quantitative",
                    "title": x,
                    "scale": near,
                    "axis": axis,
                },
                "y": {
                    "field": "y",
                    "type": "quantitative",
                    "title": None,
                    "scale": {"zero": False},
                    "axis": axis,
                },
                "color": looks([colour(place) for place in range(len(series))]),
                "strokeDash": looks([_DASHES[place % FILLS] for place in range(len(series))]),
            },
        }
    )


def _frame(width: int, height: int) -> dict:
    """Return the size of a chart, including axes, titles and legend."""
    return {
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "top": 4, "right": 12, "bottom": 2},
    }


def _fills(series: list[str], legend: dict | None) -> dict:
    return {
        "field": "series",
        "type": "nominal",
        "sort": series,
        "scale": {"domain": series, "range": [fill(place) for place in range(len(series))]},
        "legend": legend,
    }


def _few_ticks(log: bool) -> dict:
    """Return an axis with few numbers; a logarithmic axis shows powers of ten."""
    ticks = {"values": [0, *(10**power for power in range(10))]} if log else {"tickCount": 4}
    return {**ticks, "labelExpr": NUMBER, "labelOverlap": True}


def _legend(series: Sequence[str], title: str | None, width: int) -> dict:
    """Return a legend whose columns fit into the width."""
    longest = max(map(len, series), default=1)
    columns = max(1, min(len(series), int(width * 0.8) // (7 * longest + 34)))
    return {"title": title, "columns": columns}


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def ranges(
    quantiles: Mapping[str, Mapping[float, float]],
    *,
    x: str,
    width: int = NARROW,
    title: str | None = None,
) -> str:
    """Return how values are distributed: a row with quantiles for each name.

    A diamond marks the median, a bar the middle half, and a line 5 % to 95 %.

    Parameters
    ----------
    quantiles
        The quantiles 0.05, 0.25, 0.5, 0.75 and 0.95 by name. A name without values has an empty
        row.
    x
        The title of the axis.
    """
    rows = [
        {"name": name, "series": name} | {f"q{round(100 * at)}": value for at, value in one.items()}
        for name, one in quantiles.items()
    ]
    names = list(quantiles)
    near = {"zero": False, "nice": True}
    return draw(
        {
            **_frame(width, BAR * max(1, len(names)) + 70),
            **({"title": title} if title else {}),
            "data": {"values": rows},
            "encoding": {
                "y": {
                    "field": "name",
                    "type": "nominal",
                    "scale": {"domain": names},
                    "title": None,
                },
            },
            "layer": [
                {
                    "mark": {"type": "rule", "strokeWidth": 1.5, "color": _INK},
                    "encoding": {
                        "x": {
                            "field": "q5",
                            "type": "quantitative",
                            "title": x or None,
                            "scale": near,
                            "axis": _few_ticks(False),
                        },
                        "x2": {"field": "q95"},
                    },
                },
                {
                    "mark": {"type": "bar", "height": BAR - 12},
                    "encoding": {
                        "x": {"field": "q25", "type": "quantitative"},
                        "x2": {"field": "q75"},
                        "color": _fills(names, legend=None),
                    },
                },
                {
                    "mark": {
                        "type": "point",
                        "shape": "diamond",
                        "filled": True,
                        "size": 70,
                        "opacity": 1,
                        "fill": "var(--page)",
                        "stroke": _INK,
                        "strokeWidth": 1.4,
                    },
                    "encoding": {"x": {"field": "q50", "type": "quantitative"}},
                },
            ],
        }
    )


def units(
    rows: Mapping[str, Sequence[str]],
    series: Sequence[str],
    *,
    series_title: str,
    ends: Mapping[str, str],
    columns: int = 40,
) -> str:
    """Return a square for each item, in blocks below each other.

    Parameters
    ----------
    rows
        The series of the items of each block, in order: {block: series of each item}.
    series
        All series in order. Each series has a fill.
    series_title
        The title of the legend.
    ends
        The text below the name of each block.
    columns
        Number of squares in a line.
    """
    things, labels, line = [], [], 0
    for name, found in rows.items():
        for place, one in enumerate(found):
            at = {"x": place % columns, "y": line + place // columns}
            things.append({**at, "series": one})
        labels.append({"y": line, "name": name, "dy": 0, "weight": "bold"})
        labels.append({"y": line + 1, "name": ends[name], "dy": 0, "weight": "normal"})
        line += max(2, -(-len(found) // columns)) + 1
    axis = {"axis": None, "scale": {"domain": [-0.5, columns - 0.5], "nice": False}}
    down = {
        "axis": None,
        "scale": {"domain": [-0.5, max(line, 1) - 0.5], "reverse": True, "nice": False},
    }
    return draw(
        {
            "width": SQUARE * columns,
            "height": (SQUARE + 2) * max(line, 1),
            "padding": {"left": 2, "top": 4, "right": 12, "bottom": 2},
            "layer": [
                {
                    "data": {"values": things},
                    "mark": {
                        "type": "square",
                        "size": (SQUARE - 2) ** 2,
                        "opacity": 1,
                        "filled": True,
                        "stroke": _INK,
                        "strokeWidth": 0.6,
                    },
                    "encoding": {
                        "x": {"field": "x", "type": "quantitative", **axis},
                        "y": {"field": "y", "type": "quantitative", **down},
                        "fill": _fills(list(series), {"title": series_title, "columns": 6}),
                    },
                },
                *(
                    {
                        "data": {"values": [one for one in labels if one["weight"] == weight]},
                        "mark": {"type": "text", "align": "right", "dx": -8, "fontWeight": weight},
                        "encoding": {
                            "x": {"value": 0},
                            "y": {"field": "y", "type": "quantitative", **down},
                            "text": {"field": "name"},
                        },
                    }
                    for weight in ("bold", "normal")
                ),
            ],
        }
    )


def line_key(series: Sequence[str]) -> str:
    """Return the legend, as HTML, of several line charts that have the same series."""
    items = []
    for place, name in enumerate(series):
        dashes = " ".join(map(str, _DASHES[place % FILLS]))
        items.append(
            '<li><svg width="34" height="10" aria-hidden="true"><path d="M0,5H34" fill="none" '
            f'stroke="{colour(place)}" stroke-width="2" stroke-dasharray="{dashes}"/></svg> '
            f"{escaped(name)}</li>"
        )
    return f'<ul class="key">{"".join(items)}</ul>'
