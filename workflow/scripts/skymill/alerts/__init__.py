"""Readers that the alerts of any survey need: tarballs, Avro containers, FITS stamps."""
