"""What any survey's alerts need: tarballs, Avro containers, FITS stamps."""
