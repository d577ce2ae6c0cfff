"""FITS stamps are read as astropy reads them, and cut around the source."""

import gzip
import io

import numpy as np
import pytest
from alert_packets import fits, images, stamp

from skymill.ztf.fits import BadStamp, read_stamp
from skymill.ztf.stamps import Unfit, source_place, window


@pytest.mark.parametrize("shape", [(63, 63), (53, 63), (63, 44), (1, 1), (1, 3)])
@pytest.mark.parametrize("simple", ["SIMPLE  =  T", f"SIMPLE  = {'T':>20} / standard"])
def test_pixels_are_those_written(shape, simple):
    image = images(1, shape)[0]
    assert np.array_equal(read_stamp(stamp(image, simple=simple)), image)


def test_astropy_reads_and_writes_the_same():
    import astropy.io.fits

    image = images(2)[0]
    image[3, 4] = np.nan
    stream = io.BytesIO()
    astropy.io.fits.PrimaryHDU(image).writeto(stream)
    assert np.array_equal(read_stamp(gzip.compress(stream.getvalue())), image, equal_nan=True)
    with astropy.io.fits.open(io.BytesIO(fits(image)), ignore_missing_simple=True) as opened:
        assert np.array_equal(opened[0].data, image, equal_nan=True)


def test_a_header_of_several_blocks_is_read():
    image = images(3)[0]
    cards = [f"COMMENT {number}" for number in range(100)]
    assert np.array_equal(read_stamp(stamp(image, cards=cards)), image)


def _replaced(old, new):
    return gzip.compress(fits(images(4)[0]).replace(old, new, 1))


@pytest.mark.parametrize(
    ("packed", "cause"),
    [
        (b"", "gzip"),
        (b"nothing of the kind", "gzip"),
        (stamp(images(4)[0])[:-1], "gzip"),
        (stamp(images(4)[0])[:2000], "gzip"),
        (stamp(images(4)[0]) + b"more", "gzip"),
        (b"\xff\xd8\xff\xe0 a picture", "jpeg"),
        (gzip.compress(b"\xff\xd8\xff\xe0 a picture"), "jpeg"),
        (gzip.compress(b""), "fits"),
        (gzip.compress(fits(images(4)[0])[:15000]), "fits"),
        (gzip.compress(fits(images(4)[0])[:300]), "fits"),
        (_replaced(b"-32", b" 16"), "fits"),
        (_replaced(b"=                    2", b"=                    3"), "fits"),
        (_replaced(b"SIMPLE  =  T", b"SIMPLE  =  F"), "fits"),
        (_replaced(b"NAXIS1", b"NAXISX"), "fits"),
        (_replaced(b"                  63", b"        999999999999"), "fits"),
        (stamp(images(4)[0], cards=["BSCALE  =                  2.0"]), "fits"),
        (stamp(images(4)[0], cards=["BZERO   =                 nono"]), "fits"),
        (gzip.compress(b"SIMPLE  =  T".ljust(2880 * 30)), "fits"),
    ],
)
def test_what_is_no_stamp_is_refused_with_its_cause(packed, cause):
    with pytest.raises(BadStamp) as refused:
        read_stamp(packed)
    assert refused.value.cause == cause
    assert str(refused.value)


def test_scale_cards_that_change_nothing_are_fine():
    cards = ["BSCALE  =                  1.0 / plain", "BZERO   =                  0.0"]
    image = images(5)[0]
    assert np.array_equal(read_stamp(stamp(image, cards=cards)), image)


def test_any_flipped_bit_of_a_stamp_is_noticed():
    image = images(6)[0]
    packed = stamp(image)
    generator = np.random.default_rng(1)
    for place in generator.integers(10, len(packed), 300).tolist():
        broken = bytearray(packed)
        broken[place] ^= 1 << generator.integers(8)
        with pytest.raises(BadStamp):
            read_stamp(bytes(broken))


@pytest.mark.parametrize(("crop", "first", "last"), [(21, 21, 42), (63, 0, 63)])
@pytest.mark.parametrize("edge", ["recover", "drop"])
def test_a_regular_stamp_is_cut_around_its_centre(crop, first, last, edge):
    rows, columns, recovered = window(63, 63, crop, edge, np.nan, np.nan)
    assert (rows, columns, recovered) == (slice(first, last), slice(first, last), False)


@pytest.mark.parametrize(
    ("size", "position", "place"),
    [
        (63, 5.0, 31),
        (63, np.nan, 31),
        (53, 20.0, 21),
        (42, 10.0, 10),
        (53, 3050.0, 31),
        (41, 3070.0, 31),
        (53, np.nan, -1),
    ],
)
def test_the_source_is_where_the_missing_pixels_tell(size, position, place):
    assert source_place(size, position, 3080) == place


def test_an_edge_stamp_is_cut_around_its_source():
    assert window(53, 63, 21, "recover", 1500, 20) == (slice(11, 32), slice(21, 42), True)
    assert window(63, 44, 21, "recover", 3060, 20) == (slice(21, 42), slice(21, 42), True)


@pytest.mark.parametrize(
    ("rows", "columns", "crop", "edge", "xpos", "reason"),
    [
        (63, 53, 21, "drop", 20, "dropped_at_edge"),
        (63, 41, 21, "recover", 3, "dropped_at_edge"),
        (63, 41, 21, "recover", 3070, "dropped_at_edge"),
        (63, 53, 21, "recover", np.nan, "dropped_at_edge"),
        (63, 53, 63, "recover", 20, "wrong_shape"),
        (63, 64, 21, "recover", 20, "wrong_shape"),
        (1, 1, 21, "recover", 20, "dropped_at_edge"),
    ],
)
def test_what_does_not_fit_says_why(rows, columns, crop, edge, xpos, reason):
    with pytest.raises(Unfit) as unfit:
        window(rows, columns, crop, edge, xpos, 20)
    assert unfit.value.reason == reason
