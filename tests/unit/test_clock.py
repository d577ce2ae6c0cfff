"""TAI and UTC differ by the leap seconds so far."""

import socket

import numpy as np
import pytest

from skymill.clock import Clock, tai_minus_utc
from skymill.engine.errors import SkymillError


def at(*times):
    return np.array(times, dtype="M8[ns]")


def test_offsets_are_right_for_the_years_of_sdo():
    months = np.array(["2010-07", "2012-01", "2012-07", "2015-07", "2017-01"], dtype="M8[M]")
    assert tai_minus_utc(months).tolist() == [34, 34, 35, 36, 37]


def test_conversion_needs_no_network(monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("astropy.time.core._LEAP_SECONDS_CHECK", 0)
    tai_minus_utc(np.array(["2014-01"], dtype="M8[M]"))


def test_times_around_a_leap_second_convert_both_ways():
    clock = Clock(np.datetime64("2012-01-01"), np.datetime64("2013-01-01"))
    utc = at("2012-06-30T23:59:59", "2012-07-01T00:00:00")
    tai = clock.to_tai(utc)
    assert tai.tolist() == at("2012-07-01T00:00:33", "2012-07-01T00:00:35").tolist()
    assert (clock.to_utc(tai) == utc).all()


def test_a_time_in_a_leap_second_becomes_the_second_after_it():
    clock = Clock(np.datetime64("2012-01-01"), np.datetime64("2013-01-01"))
    assert clock.to_utc(at("2012-07-01T00:00:34")) == at("2012-07-01T00:00:00")


def test_fractions_of_a_second_are_kept():
    clock = Clock(np.datetime64("2014-01-01"), np.datetime64("2014-02-01"))
    tai = clock.to_tai(at("2014-01-19T10:36:19.755188987"))
    assert tai == at("2014-01-19T10:36:54.755188987")


def test_times_before_leap_seconds_are_refused():
    with pytest.raises(SkymillError, match="1970"):
        Clock(np.datetime64("1970-01-01"), np.datetime64("2014-01-01"))
