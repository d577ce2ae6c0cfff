"""Baselines: what simple models score, so that a leak between splits shows as a number."""
