"""Every path that the workflow reads or writes, relative to the working directory."""

RAW = {
    "sample": "data/sample/raw/solar_flare_2020/{partition}.json",
    "archive": "data/raw/solar_flare_2020/{partition}.json",
    "local": "data/raw/solar_flare_2020/{partition}.json",
}
"""Raw magnetic files by source: a simulated file never stands where a real one does."""

_INTERIM = "data/interim/solar_flare_2020"
RAW_RECEIPT = _INTERIM + "/raw/{partition}.receipt.json"
VALUES = _INTERIM + "/values/{partition}"
CATALOGUE = _INTERIM + "/catalogue/{partition}.parquet"
STEP_HASHES = _INTERIM + "/steps/{partition}.parquet"
QUARANTINE = _INTERIM + "/quarantine/{partition}.jsonl"
ACCEPTED = _INTERIM + "/accepted/{partition}.receipt.json"

_PREPROCESSED = "data/preprocessed/solar_flare_2020"
IDS = _PREPROCESSED + "/ids_{collection}.parquet"
CLEAN = _PREPROCESSED + "/{collection}"
REGIONS = _PREPROCESSED + "/regions.parquet"
REGIONS_ACCEPTED = _PREPROCESSED + "/regions.receipt.json"
PLAN = _PREPROCESSED + "/plan.parquet"
AUGMENTED = _PREPROCESSED + "/train_augmented"
LEAKS = _PREPROCESSED + "/leaks.receipt.json"
CONSERVATION = _PREPROCESSED + "/conservation_{collection}.receipt.json"

FEATURES = "data/processed/magnetic_data/{split}"
DIAGNOSTICS = "data/processed/magnetic_diagnostics.md"


def manifest(product: str) -> str:
    """Return the pattern of a product's manifest."""
    return product + ".manifest.json"
