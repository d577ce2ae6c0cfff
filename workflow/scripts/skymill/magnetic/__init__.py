"""Magnetic time series of solar active regions (IEEE Big Data Cup 2020)."""
