"""Raw files: their origins, which of them are present, and their download."""
