"""Pieces of work give the same list whatever the workers do."""

import operator

import pytest

from skymill.parallel import map_pieces


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_pieces(workers):
    pieces = (number for number in range(-3, 0))
    assert map_pieces(operator.neg, pieces, workers=workers, what="count") == [3, 2, 1]


def test_no_pieces_give_no_results():
    assert map_pieces(operator.neg, [], workers=3, what="count") == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_piece_is_raised(workers):
    with pytest.raises(TypeError, match="bad operand type"):
        map_pieces(operator.neg, [1, "text", 3], workers=workers, what="count")


def test_no_progress_bar_is_shown_when_nobody_watches(capfd):
    map_pieces(operator.neg, [1, 2], workers=1, what="count")
    assert capfd.readouterr() == ("", "")
