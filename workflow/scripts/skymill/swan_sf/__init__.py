"""SWAN-SF: the magnetic series with times, HARP and NOAA numbers."""
