"""The report: one page without scripts that shows what a run made."""
