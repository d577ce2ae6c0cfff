"""Every path that the workflow reads or writes.

Paths of products are relative to the results folder (`results` in the configuration), see the
function `below`. Paths of raw files are relative to the folder of their source, see raw_folder.
"""

from types import SimpleNamespace

from skymill.engine.names import SHARED_RAW
from skymill.engine.products import MANIFEST

DEFAULT_RESULTS = "data"
"""The results folder of the default configuration."""

_SIMULATED_RAW = "sample/raw"


def raw_folder(source: str, results: str) -> str:
    """Return the folder of raw files of a source; simulated and real files are never mixed."""
    return f"{results}/{_SIMULATED_RAW}" if source == "sample" else SHARED_RAW


def below(results: str) -> SimpleNamespace:
    """Return the path patterns of all products in a results folder."""
    return SimpleNamespace(
        **{
            name: f"{results}/{value}"
            for name, value in globals().items()
            if name.isupper()
            and name[0] != "_"
            and isinstance(value, str)
            and name not in _RAW_FILES
        }
    )


def manifest(product: str | list[str]) -> str | list[str]:
    """Return the manifest of a product pattern, or the manifests of a list of patterns."""
    if isinstance(product, str):
        return product + MANIFEST
    return [manifest(one) for one in product]


def logs(results: str) -> str:
    """Return the folder of the logs of a results folder."""
    return "logs" if results == DEFAULT_RESULTS else f"{results}/logs"


PRODUCTS = "products.json"
"""The list of products that the configuration of the latest run makes."""

RAW_RECEIPT = "interim/raw/{file}.receipt.json"

MAGNETIC_FILE = "solar_flare_2020/{partition}.json"
"""Raw magnetic files, below the folder of their source."""

_INTERIM = "interim/solar_flare_2020"
VALUES = _INTERIM + "/values/{partition}"
CATALOGUE = _INTERIM + "/catalogue/{partition}.parquet"
FINGERPRINTS = _INTERIM + "/fingerprints/{partition}.parquet"
QUARANTINE = _INTERIM + "/quarantine/{partition}.jsonl"
ACCEPTED = _INTERIM + "/accepted/{partition}.receipt.json"

_PREPROCESSED = "preprocessed/solar_flare_2020"
IDS = _PREPROCESSED + "/ids_{collection}.parquet"
CLEAN = _PREPROCESSED + "/{collection}"
REGIONS = _PREPROCESSED + "/regions.parquet"
REGIONS_ACCEPTED = _PREPROCESSED + "/regions.receipt.json"
PLAN = _PREPROCESSED + "/plan.parquet"
AUGMENTED = _PREPROCESSED + "/train_augmented"
LEAKS = _PREPROCESSED + "/leaks.receipt.json"
CONSERVATION = _PREPROCESSED + "/conservation_{collection}.receipt.json"

MAGNETIC_DATA = "processed/magnetic_data"
FEATURES = MAGNETIC_DATA + "/{split}"
RECORDS = MAGNETIC_DATA + "/records.parquet"
MAGNETIC_STATISTICS = MAGNETIC_DATA + "/statistics.json"
DIAGNOSTICS = "processed/magnetic_diagnostics.md"

SDO_FILE = "sdobenchmark.zip"
"""The download of SDOBenchmark, below the folder of its source."""

SDO_FOLDER = "sdo"
"""The unpacked tree, below the raw folder. It has a manifest only if Skymill unpacked it."""

_SDO_INTERIM = "interim/sdo"
SDO_RECEIPT = _SDO_INTERIM + "/raw.receipt.json"
SDO_SAMPLES = _SDO_INTERIM + "/samples.parquet"
SDO_IMAGES = _SDO_INTERIM + "/images.parquet"
SDO_PROBLEMS = _SDO_INTERIM + "/problems.jsonl"
SDO_ACCEPTED = _SDO_INTERIM + "/accepted.receipt.json"
SDO_PLAN = "preprocessed/sdo/plan.parquet"
SDO_DATA = "processed/sdo"
SDO_INDEX = SDO_DATA + "/{sdo_set}_metadata.csv"
SDO_TENSORS = SDO_DATA + "/{sdo_set}.zarr"
SDO_STATISTICS = SDO_DATA + "/statistics.json"
SDO_REPORT = SDO_DATA + "/integrity.md"

SWAN_FILE = "swan_sf/{swan_partition}_instances.tar.gz"
"""A partition of SWAN-SF, below the folder of its source."""

_SWAN_INTERIM = "interim/swan_sf"
SWAN_STEPS = _SWAN_INTERIM + "/{swan_partition}/steps.parquet"
SWAN_WINDOWS = _SWAN_INTERIM + "/{swan_partition}/windows.parquet"
SWAN_QUARANTINE = _SWAN_INTERIM + "/{swan_partition}/quarantine.jsonl"
SWAN_ACCEPTED = _SWAN_INTERIM + "/{swan_partition}/accepted.receipt.json"

_ALIGNED_INTERIM = "interim/aligned"
RECORD_KEYS = _ALIGNED_INTERIM + "/record_keys/{partition}.parquet"
SWAN_KEYS = _ALIGNED_INTERIM + "/step_keys/{swan_partition}.parquet"
RECORD_TIMES = "preprocessed/aligned/record_times.parquet"
PAIRS = "preprocessed/aligned/pairs.parquet"
WITHOUT_PARTNER = "preprocessed/aligned/without_partner.parquet"
PAIRS_ACCEPTED = "preprocessed/aligned/pairs.receipt.json"
_ALIGNED = "processed/aligned"
ALIGNED_DATA = _ALIGNED + "/{aligned_split}"
ALIGNED_STATISTICS = _ALIGNED + "/statistics.json"
ALIGNED_FIGURE = _ALIGNED + "/pair.png"
ALIGNED_REPORT = _ALIGNED + "/report.md"

STEALTH_FILE = "stealth/data.csv"
"""The raw file of the auxiliary table, below the folder of its source."""

STEALTH_ROWS = "interim/stealth/rows.parquet"
STEALTH_QUARANTINE = "interim/stealth/quarantine.jsonl"
STEALTH_TABLE = "preprocessed/stealth/solar_flares.parquet"

ZTF_NIGHT_FILE = "ztf/ztf_public_{night}.tar.gz"
"""A night's tarball, below the folder of its source."""

ZTF_NIGHT_FOLDER = "ztf/ztf_public_{night}"
"""A night unpacked by hand: a folder of .avro files."""

ZTF_OWN_NIGHT_FILE = "ztf/{night}.tar.gz"
ZTF_OWN_NIGHT_FOLDER = "ztf/{night}"
"""Other names that users may give to their own nights."""

ZTF_LABELS_FOLDER = "ztf/labels/"
ZTF_LABELS_ARCHIVE = ZTF_LABELS_FOLDER + "files_for_lc_classifier_SanchezSaez2020.tar.gz"
ZTF_LABELS_FILES = {
    "predictions": ZTF_LABELS_FOLDER
    + "ALeRCE_lc_classifier_outputs_ZTF_unlabeled_set_20200609.csv",
    "catalogue": ZTF_LABELS_FOLDER + "labeled_set_lc_classifier_SanchezSaez_2020.csv",
}
"""The published archive of labels, and the files in it by `labels.source`."""

_ZTF_INTERIM = "interim/ztf"
ZTF_QUARANTINE = _ZTF_INTERIM + "/quarantine/{night}.jsonl"
ZTF_ACCEPTED = _ZTF_INTERIM + "/accepted/{night}.receipt.json"
ZTF_LABEL_PROBLEMS = _ZTF_INTERIM + "/label_problems.jsonl"
ZTF_LABELS_ACCEPTED = _ZTF_INTERIM + "/labels.receipt.json"
ZTF_LABELS = "preprocessed/ztf/labels.parquet"
ZTF_NIGHT = "preprocessed/ztf/stamps/{night}.parquet"
ZTF_PLAN = "preprocessed/ztf/plan.parquet"
ZTF_DATA = "processed/ztf"
ZTF_STAMPS = ZTF_DATA + "/stamps.parquet"
ZTF_STAMPS_ARRAY = ZTF_DATA + "/stamps.npy"
ZTF_STAMPS_LABELS = ZTF_DATA + "/labels.csv"
ZTF_TABLE = ZTF_DATA + "/ztf_avro_Grande_{label}.csv"
ZTF_SHEET = ZTF_DATA + "/contact_sheet_{label}.png"
ZTF_ALERTS = ZTF_DATA + "/alerts"
ZTF_STATISTICS = ZTF_DATA + "/statistics.json"
ZTF_REPORT = ZTF_DATA + "/report.md"

RECORD_STATISTICS = "interim/baseline/records.parquet"
STAMP_STATISTICS = "interim/baseline/stamps.parquet"
BASELINE_SCORES = "processed/baseline/scores.json"
BASELINE_TABLE = "processed/baseline/scores.csv"
BASELINE_PAGE = "processed/baseline/baseline.md"
"""The baseline: it is made of several branches and belongs to none."""

DATA_SETS = {
    "magnetic": MAGNETIC_DATA,
    "sdo": SDO_DATA,
    "aligned": _ALIGNED,
    "ztf": ZTF_DATA,
}
"""The data sets for users, and their folders."""

REPORT = "processed/report.html"
SECTION = "processed/report/{branch}"
"""The report, and the folder of a branch's section of it."""

CARD = "processed/{data_set}/README.md"
CROISSANT = "processed/{data_set}/croissant.json"
"""The descriptions of a data set, for people and for programs; `data_set` is its folder's name."""

BRANCH_FOLDERS = {
    "magnetic": (
        _INTERIM,
        _PREPROCESSED,
        MAGNETIC_DATA,
        DIAGNOSTICS,
        "interim/raw/solar_flare_2020",
        SECTION.format(branch="magnetic"),
    ),
    "sdo": (
        _SDO_INTERIM,
        "preprocessed/sdo",
        SDO_DATA,
        "interim/raw/sdobenchmark.zip",
        SECTION.format(branch="sdo"),
    ),
    "aligned": (
        _SWAN_INTERIM,
        _ALIGNED_INTERIM,
        "preprocessed/aligned",
        _ALIGNED,
        "interim/raw/swan_sf",
        SECTION.format(branch="aligned"),
    ),
    "stealth": (
        "interim/stealth",
        "preprocessed/stealth",
        "interim/raw/stealth",
        SECTION.format(branch="stealth"),
    ),
    "ztf": (
        _ZTF_INTERIM,
        "preprocessed/ztf",
        ZTF_DATA,
        "interim/raw/ztf",
        SECTION.format(branch="ztf"),
    ),
}
"""How the paths of each branch's products begin."""

RAW_OF_BRANCH = {"aligned": "swan_sf"}
"""Collections of raw files (see config/sources.yaml) whose names differ from their branches."""

_RAW_FILES = frozenset(
    {
        "DEFAULT_RESULTS",
        "SHARED_RAW",
        "MANIFEST",
        "MAGNETIC_FILE",
        "SDO_FILE",
        "SDO_FOLDER",
        "SWAN_FILE",
        "STEALTH_FILE",
    }
    | {"ZTF_OWN_NIGHT_FILE", "ZTF_OWN_NIGHT_FOLDER"}
    | {"ZTF_NIGHT_FILE", "ZTF_NIGHT_FOLDER", "ZTF_LABELS_FOLDER", "ZTF_LABELS_ARCHIVE"}
)
"""Names in this module that are not paths in a results folder."""
