"""Raw files: where each comes from, what is there, and how it is fetched."""
