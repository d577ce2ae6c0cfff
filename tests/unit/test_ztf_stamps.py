"""FITS stamps are read as in astropy, and cropped around the source."""

import gzip
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from alert_packets import fits, images, stamp

from skymill.alerts.fits import (
    BLOCK,
    BadStamp,
    Spans,
    inflate,
    inflate_regular,
    may_be_regular,
    read_image,
    regular_images,
)
from skymill.ztf.stamps import Unfit, source_place, window


def read_stamp(packed):
    return read_image(inflate(packed))


def spans(packed):
    """Return the positions of concatenated stamps."""
    sizes = np.array([len(each) for each in packed])
    return Spans(b"".join(packed), np.cumsum(sizes) - sizes, sizes)


def together(packed):
    """Inflate stamps as in a batch: together, if all may be regular."""
    stamps = spans(packed)
    unpacked = inflate_regular([stamps]) if may_be_regular(stamps).all() else None
    return None if unpacked is None else unpacked.copy()


@pytest.mark.parametrize("shape", [(63, 63), (53, 63), (63, 44), (1, 1), (1, 3)])
@pytest.mark.parametrize("simple", ["SIMPLE  =  T", f"SIMPLE  = {'T':>20} / standard"])
def test_pixels_are_read_as_written(shape, simple):
    image = images(1, shape)[0]
    assert np.array_equal(read_stamp(stamp(image, simple=simple)), image)


def test_astropy_and_skymill_read_each_others_stamps():
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
    return gzip.compress(fits(images(4)[0]).replace(old, new, 1), mtime=0)


@pytest.mark.parametrize(
    ("packed", "cause"),
    [
        (b"", "gzip"),
        (b"nothing of the kind", "gzip"),
        (stamp(images(4)[0])[:-1], "gzip"),
        (stamp(images(4)[0])[:2000], "gzip"),
        (stamp(images(4)[0]) + b"more", "gzip"),
        (b"\xff\xd8\xff\xe0 a picture", "jpeg"),
        (gzip.compress(b"\xff\xd8\xff\xe0 a picture", mtime=0), "jpeg"),
        (gzip.compress(b"", mtime=0), "fits"),
        (gzip.compress(fits(images(4)[0])[:15000], mtime=0), "fits"),
        (gzip.compress(fits(images(4)[0])[:300], mtime=0), "fits"),
        (_replaced(b"-32", b" 16"), "fits"),
        (_replaced(b"=                    2", b"=                    3"), "fits"),
        (_replaced(b"SIMPLE  =  T", b"SIMPLE  =  F"), "fits"),
        (_replaced(b"NAXIS1", b"NAXISX"), "fits"),
        (_replaced(b"                  63", b"        999999999999"), "fits"),
        (stamp(images(4)[0], cards=["BSCALE  =                  2.0"]), "fits"),
        (stamp(images(4)[0], cards=["BZERO   =                 nono"]), "fits"),
        (gzip.compress(b"SIMPLE  =  T".ljust(2880 * 30), mtime=0), "fits"),
    ],
)
def test_an_invalid_stamp_is_refused_with_its_cause(packed, cause):
    with pytest.raises(BadStamp) as refused:
        read_stamp(packed)
    assert refused.value.cause == cause
    assert str(refused.value)


def test_scale_cards_without_effect_are_accepted():
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


def test_stamps_inflated_together_equal_stamps_inflated_one_by_one():
    packed = [stamp(image) for image in (*images(7), *images(8))]
    for count in range(1, len(packed) + 1):
        unpacked = together(packed[:count])
        assert [each.tobytes() for each in unpacked] == [inflate(each) for each in packed[:count]]


def test_only_stamps_with_the_length_of_regular_stamps_may_be_regular():
    stamps = [stamp(images(7)[0]), stamp(images(7, (62, 30))[0]), b"", b"\0", stamp(images(8)[0])]
    assert may_be_regular(spans(stamps)).tolist() == [True, False, False, False, True]
    assert may_be_regular(spans(stamps[2:])).tolist() == [False, False, True]
    assert may_be_regular(spans([b"", b""])).tolist() == [False, False]


def test_an_empty_list_of_stamps_can_be_inflated():
    none = spans([b"x"])._replace(begins=np.empty(0, np.int64), sizes=np.empty(0, np.int64))
    with ThreadPoolExecutor(1) as fresh:
        unpacked = fresh.submit(inflate_regular, [none]).result()
    assert [len(each) for each in regular_images(unpacked)] == [0, 0]


def test_stamps_of_several_texts_are_inflated_together():
    first, second = [stamp(images(1)[0])], [stamp(image) for image in images(2)]
    unpacked = inflate_regular([spans(first), spans(second)])
    assert [each.tobytes() for each in unpacked] == [inflate(each) for each in first + second]


def test_images_of_regular_stamps_equal_those_read_one_by_one():
    # Shapes that fill the same number of blocks, and a stamp with an additional card.
    shapes = [(62, 63), (63, 63), (63, 62), (63, 63), (1, 4000)]
    packed = [stamp(images(11, shape)[0]) for shape in shapes]
    packed += [stamp(images(12)[0]), stamp(images(13)[0], cards=["COMMENT another"])]
    unpacked = together(packed)
    found, true = regular_images(unpacked)
    assert true.tolist() == [False, True, False, True, False, True, False]
    for place in np.flatnonzero(true).tolist():
        assert np.array_equal(found[place], read_image(unpacked[place].tobytes()))


def test_an_image_without_a_readable_header_is_not_regular():
    unpacked = together([stamp(images(14)[0])] * 2).copy()
    unpacked[0, :3] = 0
    unpacked[1, :BLOCK] = ord(" ")
    assert not regular_images(unpacked)[1].any()


DAMAGES = {
    "cut": lambda each, _: each[:-3],
    "more behind it": lambda each, _: each + b"\x1f",
    "zeros behind it": lambda each, _: each + bytes(2),
    "two members": lambda each, other: each + other,
    "an empty member behind it": lambda each, _: each + gzip.compress(b""),
    "no magic": lambda each, _: b"x" + each[1:],
    "nothing": lambda each, _: b"",
    "a picture": lambda each, _: b"\xff\xd8\xff\xe0 a picture",
    "huge": lambda each, _: gzip.compress(bytes(2**19)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_stamps_are_not_inflated_together_if_one_is_irregular(damage, place):
    packed = [stamp(image) for image in images(9)]
    packed[place] = DAMAGES[damage](packed[place], packed[place - 1])
    assert together(packed) is None


@pytest.mark.parametrize("shape", [(63, 63), (20, 63)])
def test_an_empty_member_before_a_stamp_changes_nothing(shape):
    packed = stamp(images(9, shape)[0])
    assert inflate(gzip.compress(b"") + packed) == inflate(packed)


def test_no_flipped_bit_passes_when_stamps_are_inflated_together():
    packed = [stamp(image) for image in images(10, (21, 21))]
    sound = [inflate(each) for each in packed]
    generator = np.random.default_rng(1)
    unseen = 0
    for place in generator.integers(0, sum(map(len, packed)), 400).tolist():
        broken = bytearray(b"".join(packed))
        broken[place] ^= 1 << generator.integers(8)
        ends = np.cumsum([len(each) for each in packed]).tolist()
        pieces = [
            bytes(broken[end - len(each) : end]) for each, end in zip(packed, ends, strict=True)
        ]
        found = together(pieces)
        # Some bits have no effect: those of the time, and the padding of the last byte.
        assert found is None or [each.tobytes() for each in found] == sound
        unseen += found is not None
    assert unseen < 10


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
def test_the_missing_pixels_show_the_place_of_the_source(size, position, place):
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
def test_a_stamp_that_does_not_fit_has_a_cause(rows, columns, crop, edge, xpos, reason):
    with pytest.raises(Unfit) as unfit:
        window(rows, columns, crop, edge, xpos, 20)
    assert unfit.value.reason == reason
