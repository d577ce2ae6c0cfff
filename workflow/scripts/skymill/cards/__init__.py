"""Cards of the data sets: descriptions for people and for programs."""
