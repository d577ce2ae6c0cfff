"""The command `skymill`: what people ask of a results folder. No job imports it."""
