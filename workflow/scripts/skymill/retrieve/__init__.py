"""Raw files fetched from their archives: registry, downloads, cache."""
