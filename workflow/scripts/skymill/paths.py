"""Every path that the workflow reads or writes, relative to the working directory."""

RAW_FOLDER = {"sample": "data/sample/raw", "archive": "data/raw", "local": "data/raw"}
"""Raw files by source: a simulated file never stands where a real one does."""

MAGNETIC_FILE = "solar_flare_2020/{partition}.json"
"""Raw magnetic files, below the folder of their source."""

RAW_RECEIPT = "data/interim/raw/{file}.receipt.json"

_INTERIM = "data/interim/solar_flare_2020"
VALUES = _INTERIM + "/values/{partition}"
CATALOGUE = _INTERIM + "/catalogue/{partition}.parquet"
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

SDO_FILE = "sdobenchmark.zip"
"""The download of SDOBenchmark, below the folder of its source."""

SDO_FOLDER = {
    "sample": "data/sample/raw/sdo",
    "archive": "data/raw/sdo",
    "local": "data/raw/sdo",
}
"""The unpacked tree by source; its manifest is there only when it was unpacked from the zip."""

_SDO_INTERIM = "data/interim/sdo"
SDO_RECEIPT = _SDO_INTERIM + "/raw.receipt.json"
SDO_SAMPLES = _SDO_INTERIM + "/samples.parquet"
SDO_IMAGES = _SDO_INTERIM + "/images.parquet"
SDO_PROBLEMS = _SDO_INTERIM + "/problems.jsonl"
SDO_ACCEPTED = _SDO_INTERIM + "/accepted.receipt.json"
SDO_PLAN = "data/preprocessed/sdo/plan.parquet"
SDO_INDEX = "data/processed/sdo/{sdo_set}_metadata.csv"
SDO_TENSORS = "data/processed/sdo/{sdo_set}.zarr"
SDO_REPORT = "data/processed/sdo/integrity.md"

STEALTH_FILE = "stealth/data.csv"
"""The raw file of the auxiliary table, below the folder of its source."""

STEALTH_ROWS = "data/interim/stealth/rows.parquet"
STEALTH_QUARANTINE = "data/interim/stealth/quarantine.jsonl"
STEALTH_TABLE = "data/preprocessed/stealth/solar_flares.parquet"

ZTF_NIGHT_FILE = "ztf/ztf_public_{night}.tar.gz"
"""A night's tarball, below the folder of its source."""

ZTF_NIGHT_FOLDER = "ztf/ztf_public_{night}"
"""A night unpacked by hand: a folder of .avro files."""

ZTF_LABELS_FOLDER = "ztf/labels/"
ZTF_LABELS_ARCHIVE = ZTF_LABELS_FOLDER + "files_for_lc_classifier_SanchezSaez2020.tar.gz"
ZTF_LABELS_FILES = {
    "predictions": ZTF_LABELS_FOLDER
    + "ALeRCE_lc_classifier_outputs_ZTF_unlabeled_set_20200609.csv",
    "catalogue": ZTF_LABELS_FOLDER + "labeled_set_lc_classifier_SanchezSaez_2020.csv",
}
"""The labels as published, and the files in it by `labels.source`."""

_ZTF_INTERIM = "data/interim/ztf"
ZTF_QUARANTINE = _ZTF_INTERIM + "/quarantine/{night}.jsonl"
ZTF_ACCEPTED = _ZTF_INTERIM + "/accepted/{night}.receipt.json"
ZTF_LABEL_PROBLEMS = _ZTF_INTERIM + "/label_problems.jsonl"
ZTF_LABELS = "data/preprocessed/ztf/labels.parquet"
ZTF_NIGHT = "data/preprocessed/ztf/stamps/{night}.parquet"
ZTF_PLAN = "data/preprocessed/ztf/plan.parquet"
ZTF_STAMPS = "data/processed/ztf/stamps.parquet"
ZTF_STAMPS_ARRAY = "data/processed/ztf/stamps.npy"
ZTF_STAMPS_LABELS = "data/processed/ztf/labels.csv"
ZTF_TABLE = "data/processed/ztf/ztf_avro_Grande_{label}.csv"
ZTF_SHEET = "data/processed/ztf/contact_sheet_{label}.png"
ZTF_ALERTS = "data/processed/ztf/alerts"
ZTF_REPORT = "data/processed/ztf/report.md"


def manifest(product: str) -> str:
    """Return the pattern of a product's manifest."""
    return product + ".manifest.json"
