"""docs/data-dictionary.md names every column of every table that a run makes, and its type.

The aligned branch and SWAN-SF as a data set are compared where their tests have such a run. The
baseline is no part of a run.
"""

from dictionary import compare


def test_the_dictionary_has_every_column_of_a_run_and_no_other(looked_at):
    unmet = compare(looked_at.path("data"))
    elsewhere = (
        "interim/swan_sf/",
        "interim/aligned/",
        "preprocessed/aligned/",
        "processed/aligned/",
        "interim/baseline/",
        "processed/baseline/",
    )
    assert {one for one in unmet if not one.startswith(elsewhere)} == {
        "interim/solar_flare_2020/fingerprints/*.parquet"
    }
