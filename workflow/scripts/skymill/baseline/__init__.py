"""Baselines: the scores of simple models, which show a leak between splits as a number."""
