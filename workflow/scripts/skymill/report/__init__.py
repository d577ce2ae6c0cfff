"""The report: what a run made, drawn for people, in one page without scripts."""
