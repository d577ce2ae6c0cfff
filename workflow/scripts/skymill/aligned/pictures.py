"""A figure of one pair: the curves of the magnetic series and the images of the same hours."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skymill.engine.products import describe_file, new_file
from skymill.magnetic.schema import STEPS
from skymill.sdo.names import CHANNELS, STEP_OFFSETS
from skymill.swan_sf.schema import PARAMETERS

if TYPE_CHECKING:
    from PIL import Image

CURVES = ("USFLUX", "TOTUSJH", "TOTPOT", "SAVNCPP", "R_VALUE", "MEANSHR")
"""The parameters that are drawn, from top to bottom."""
SHOWN_CHANNELS = ("magnetogram", "continuum", "171", "131")
"""The channels that are drawn, from top to bottom. The time steps go from left to right."""

MARGIN, LINE, GAP = 10, 13, 4
"""Pixels around the figure, per line of text, and between images."""
CURVE_WIDTH, CURVE_HEIGHT = 480, 76
IMAGE_SIDE = 128
BACKGROUND, INK, FRAME, ABSENT = 255, 0, 160, 210


def choose_pair(pairs: pd.DataFrame) -> int:
    """Return the row of the pair to draw: a strong flare with all steps and without flags.

    The choice does not depend on the order of the rows.
    """
    order = {label: place for place, label in enumerate("XMCQ")}
    ranked = pd.DataFrame(
        {
            "doubtful": [len(flags) for flags in pairs["flags"]],
            "strength": [order[label] for label in pairs["label"]],
            "missing": STEPS - pairs["steps_present"].to_numpy(np.int64),
            "name": pairs["sample_id"].to_numpy(object),
        }
    )
    return int(ranked.sort_values(["doubtful", "strength", "missing", "name"]).index[0])


def draw_pair(
    pair: dict,
    series: np.ndarray,
    path: Path,
    images: tuple[np.ndarray, np.ndarray] | None,
) -> list[dict]:
    """Draw one pair and return the entry of the PNG for a manifest.

    Parameters
    ----------
    pair
        Its row of the table of pairs.
    series
        float, shape (60, 24); missing steps are NaN.
    images
        uint8 of shape (4, 10, 256, 256), and bool of shape (4, 10): whether each image exists. None
        if there are no tensors.
    """
    figure = pair_figure(pair, series, images)
    with new_file(Path(path)) as temporary:
        # Fixed settings and no time stamp, so that equal pairs make equal bytes.
        figure.save(temporary, format="PNG", compress_level=6, optimize=False)
        return [{**describe_file(temporary, 1), "name": Path(path).name}]


def pair_figure(
    pair: dict, series: np.ndarray, images: tuple[np.ndarray, np.ndarray] | None
) -> "Image.Image":
    """Return the figure of draw_pair as a grey image."""
    from PIL import Image, ImageDraw, ImageFont

    # The only font that is the same with and without FreeType.
    font = ImageFont.load_default_imagefont()
    rows = len(SHOWN_CHANNELS) * (IMAGE_SIDE + LINE + GAP)
    head = 3 * LINE + 2 * MARGIN
    height = head + max(len(CURVES) * (CURVE_HEIGHT + LINE + GAP), rows) + MARGIN
    columns = len(STEP_OFFSETS) * (IMAGE_SIDE + GAP) if images else 0
    figure = Image.new("L", (CURVE_WIDTH + columns + 3 * MARGIN, height), BACKGROUND)
    draw = ImageDraw.Draw(figure)
    for number, text in enumerate(_caption(pair)):
        draw.text((MARGIN, MARGIN + number * LINE), text, fill=INK, font=font)
    for number, name in enumerate(CURVES):
        top = head + number * (CURVE_HEIGHT + LINE + GAP)
        # A step of exact zeros was not measured.
        seen = series[:, PARAMETERS.index("USFLUX")] != 0
        values = np.where(seen, series[:, PARAMETERS.index(name)], np.nan).astype(np.float64)
        draw.text((MARGIN, top), _range(name, values), fill=INK, font=font)
        box = (MARGIN, top + LINE, MARGIN + CURVE_WIDTH, top + LINE + CURVE_HEIGHT)
        draw.rectangle(box, outline=FRAME)
        draw_curve(draw, values, box)
    if images:
        pixels, there = images
        for row, channel in enumerate(SHOWN_CHANNELS):
            top = head + row * (IMAGE_SIDE + LINE + GAP)
            for step in range(len(STEP_OFFSETS)):
                left = CURVE_WIDTH + 2 * MARGIN + step * (IMAGE_SIDE + GAP)
                number = CHANNELS.index(channel)
                draw.text((left, top), _image_name(channel, step), fill=INK, font=font)
                shown = np.full((IMAGE_SIDE, IMAGE_SIDE), ABSENT, dtype=np.uint8)
                if there[step, number]:
                    shown = _halved(pixels[step, number])
                figure.paste(Image.fromarray(shown), (left, top + LINE))
    return figure


def _caption(pair: dict) -> list[str]:
    swan = pair["goes_swan"] or pair["label_swan"] or "none"
    return [
        f"Sample {pair['sample_id']} ({pair['split']}), HARP {pair['harp']}: "
        f"{pair['goes_sdo']} in SDOBenchmark, {swan} in SWAN-SF",
        f"Series {pair['start']} to {pair['end']} UTC, {pair['steps_present']} of {STEPS} steps; "
        f"the sample ends at {str(pair['sample_end'])[:19]}",
        "Curves: 12 minutes a step. Images: hours after the begin of the sample",
    ]


def _range(name: str, values: np.ndarray) -> str:
    seen = values[np.isfinite(values)]
    return f"{name}: {seen.min():.4g} to {seen.max():.4g}" if len(seen) else f"{name}: no value"


def _image_name(channel: str, step: int) -> str:
    hours = STEP_OFFSETS[step] / np.timedelta64(1, "h")
    return f"{channel}, {hours:.2f} h"


def draw_curve(
    draw,
    values: np.ndarray,
    box: tuple[int, int, int, int],
    span: tuple[float, float] | None = None,
) -> None:
    """Draw a curve into a box, scaled to `span` or to its lowest and highest value.

    Missing steps are gaps.
    """
    left, top, right, bottom = box
    seen = np.isfinite(values)
    if not seen.any():
        return
    low, high = span or (values[seen].min(), values[seen].max())
    share = (values - low) / (high - low) if high > low else np.where(seen, 0.5, np.nan)
    across = left + 2 + (right - left - 4) * np.arange(len(values)) / (len(values) - 1)
    down = bottom - 3 - (bottom - top - 6) * share
    for step in np.flatnonzero(seen).tolist():
        point = (round(float(across[step])), round(float(down[step])))
        draw.rectangle((point[0] - 1, point[1] - 1, point[0] + 1, point[1] + 1), fill=INK)
        if step + 1 < len(values) and seen[step + 1]:
            after = (round(float(across[step + 1])), round(float(down[step + 1])))
            draw.line((point, after), fill=INK)


def _halved(image: np.ndarray) -> np.ndarray:
    """Return an image of 256 x 256 at half its size."""
    blocks = image.reshape(IMAGE_SIDE, 2, IMAGE_SIDE, 2).astype(np.uint16).sum(axis=(1, 3))
    return (blocks // 4).astype(np.uint8)
