"""Pictures of the report: grey levels as they are, marks in a colour that no grey has."""

import io

import numpy as np
import pytest
from PIL import Image

from skymill.report.parts import absent, note, picture_table, swatch
from skymill.report.pictures import (
    GREYS,
    MARK_COLOUR,
    MARKED,
    NOTHING,
    grey_png,
    halved,
    marked_png,
)


def opened(png, mode):
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert(mode))


def test_a_grey_picture_is_what_was_given_with_the_same_bytes():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(opened(grey_png(pixels), "L"), pixels)
    assert grey_png(pixels) == grey_png(pixels.copy())


def test_marks_have_their_colour_and_nothing_is_transparent():
    pixels = np.array([[0, GREYS - 1, NOTHING, MARKED]], dtype=np.uint8)
    black, white, nothing, marked = opened(marked_png(pixels), "RGBA")[0].tolist()
    assert black == [0, 0, 0, 255]
    assert white == [255, 255, 255, 255]
    assert nothing[3] == 0
    assert marked == [*MARK_COLOUR, 255]
    assert marked_png(pixels) == marked_png(pixels.copy())


@pytest.mark.parametrize("value", [0, 7, 255])
def test_an_image_at_half_its_size_has_the_means_of_four_pixels(value):
    image = np.full((4, 6), value, dtype=np.uint8)
    image[0, 0] = 0
    small = halved(image)
    assert small.shape == (2, 3)
    assert small[1, 2] == value
    assert small[0, 0] == 3 * value // 4


def test_pictures_in_a_table_have_headings_and_words_where_one_is_missing():
    body = picture_table(["<c>", "0 h"], [("94", [absent("no <image>") + note("a & b")])], "What")
    assert '<th scope="col">&#60;c&#62;</th>' in body
    assert '<th scope="row">94</th>' in body
    assert "no &#60;image&#62;" in body
    assert "a &#38; b" in body
    assert "<caption>What</caption>" in body


def test_a_legend_names_a_colour():
    assert "rgb(1,2,3)" in swatch((1, 2, 3), "no value")
    assert "no value" in swatch((1, 2, 3), "no value")
