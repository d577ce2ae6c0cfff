"""The card of a data set for the Hugging Face Hub: YAML front matter and a datasheet for people."""

import re

import skymill
from skymill import release
from skymill.cards.facts import Facts
from skymill.cards.texts import NOISE_PAPER, Words
from skymill.engine.markdown import escaped, markdown_table, settings_table
from skymill.paths import DATA_SETS, DEFAULT_RESULTS, LEAKS, SDO_PLAN

SIMULATED = "SIMULATED"

HUB_NAMES = {"dev": "validation"}
"""The Hub's names of splits whose folders have other names."""

SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
LARGEST = "n>1B"

FILES_SHOWN = 20
"""The page lists so many raw files. The manifests list all of them."""


def title_of(facts: Facts) -> str:
    """Return the name of a data set. The name says if the data are simulated."""
    title = facts.words.title
    return f"{title} ({SIMULATED})" if facts.is_simulated else title


def licences(facts: Facts) -> list[str]:
    """Return the licences in config/sources.yaml. Simulated data have no archive's licence."""
    if facts.is_simulated:
        return ["simulated data: no archive's licence applies"]
    return [f"{archive['title']}: {archive['licence']}" for archive in facts.archives.values()]


def citations(facts: Facts) -> list[str]:
    """Return the citations: Skymill, and the archives that were read or simulated."""
    authors = ", ".join(release.AUTHORS)
    own = f"{authors} {release.RELEASED[:4]}, {release.NAME} {skymill.__version__}"
    return [own, *(archive["citation"] for archive in facts.archives.values())]


def write_datasheet(facts: Facts) -> str:
    """Return the card as Markdown with front matter."""
    import yaml

    matter = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True, width=100)
    words = facts.words
    parts = [
        f"---\n{matter}---",
        f"# {escaped(title_of(facts))}",
        *_warning(facts),
        "## What it is",
        words.what,
        f"**Label.** {words.label}",
        "## Splits",
        _splits(facts),
        *_split_notes(facts),
        "## How to load it",
        _loading(facts),
        "## Where it comes from",
        _archives(facts),
        _raw(facts),
        "## How it was made",
        words.made,
        f"**Missing values.** {words.imputed}",
        settings_table(facts.settings),
        "## Label noise",
        words.noise,
        "## Known limits",
        _bullets([*words.limits, *map(escaped, facts.warnings)]),
        "## Does test data leak into train?",
        *_leaks(facts, words),
        "## What it contains",
        _files(facts),
        "## How to cite",
        _bullets(map(escaped, [*citations(facts), NOISE_PAPER])),
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(facts: Facts) -> dict:
    """Return the metadata that the Hub and its library read."""
    words = facts.words
    # For folders, the rows of the files count: a magnetic record has 60 rows.
    rows = sum(
        sum(entry["rows"] for entry in facts.of_product(split.name)) or split.rows
        for split in facts.splits
    )
    return {
        "pretty_name": title_of(facts),
        "license": "other",
        "license_name": "simulated" if facts.is_simulated else "see-the-archives",
        "license_details": "; ".join(licences(facts)),
        "size_categories": [next((text for most, text in SIZES if rows < most), LARGEST)],
        "task_categories": list(words.tasks),
        "tags": [*words.tags, *(["simulated"] if facts.is_simulated else [])],
        "configs": CONFIGS[facts.name](facts),
    }


def _config(name: str, files: dict[str, str], **options) -> dict:
    return {
        "config_name": name,
        "data_files": [{"split": split, "path": path} for split, path in files.items()],
        **options,
    }


def _folders(facts: Facts) -> dict[str, str]:
    """Return the files of each split that is a folder. The library refuses splits without rows."""
    return {
        HUB_NAMES.get(split.name, split.name): f"{split.name}/*.parquet" for split in facts.filled
    }


def _magnetic(facts: Facts) -> list[dict]:
    return [
        {**_config("default", _folders(facts)), "default": True},
        _config("records", {"records": "records.parquet"}),
    ]


def _sdo(facts: Facts) -> list[dict]:
    # The official training set contains the validation split as well, so it is not called `train`.
    files = {f"official_{name}": f"{name}_metadata.csv" for name in ("train", "test")}
    return [_config("index", files)]


def _aligned(facts: Facts) -> list[dict]:
    return [_config("default", _folders(facts))]


def _ztf(facts: Facts) -> list[dict]:
    # One file has all splits. Each split is a configuration, so that no user loads a wrong split.
    return [
        _config(
            split.name,
            {split.name: "stamps.parquet"},
            filters=[["split", "=", split.name]],
        )
        for split in facts.filled
    ]


CONFIGS = {"magnetic": _magnetic, "sdo": _sdo, "aligned": _aligned, "ztf": _ztf}


def _warning(facts: Facts) -> list[str]:
    if facts.is_simulated:
        return [
            f"> **{SIMULATED} DATA.** These values do not come from the sky: `source: sample` "
            "simulates raw files in the format of the archives. Use them only to try a program."
        ]
    if facts.source == "local":
        return [
            "> The raw files were copied by hand (`source: local`). Only their checksums show "
            "whether they are the files of the archives."
        ]
    return []


def _splits(facts: Facts) -> str:
    labels = list(dict.fromkeys(label for split in facts.splits for label in split.by_label))
    labels.sort(key=_order)
    with_originals = any(split.originals_by_label for split in facts.splits)
    header = ["split", "rows", *(["originals"] if with_originals else []), *labels]
    rows = []
    for split in facts.splits:
        row: list = [split.name, split.rows]
        if with_originals:
            row.append(sum(split.originals.values()))
        rows.append([*row, *(split.by_label.get(label, 0) for label in labels)])
    return markdown_table(header, rows)


def _order(label: str) -> tuple[int, str]:
    classes = ("X", "M", "C", "B", "Q")
    return (classes.index(label) if label in classes else len(classes), label)


def _split_notes(facts: Facts) -> list[str]:
    if facts.name == "magnetic":
        has_test_file = any(split.name == "holdout_test" for split in facts.splits)
        held_out = "`holdout_test` is the archive's test file, which has no labels. "
        return [
            "A row of this table is a record; the files have 60 rows per record. `dev` is the "
            f"validation split. {held_out if has_test_file else ''}Synthetic copies count as rows. "
            "statistics.json and its class weights use only originals."
        ]
    if facts.name == "sdo":
        return [
            "The official training set (train_metadata.csv, train.zarr) contains the splits train, "
            "validation and excluded. The column `split` has the split of each sample."
        ]
    if facts.name == "ztf":
        return ["All splits are in one file. The column `split` has the split of each alert."]
    return []


_EXAMPLES = {
    "magnetic": """import skymill
train = skymill.load("magnetic", "train")  # X (records, 60, columns), y, groups, ids
skymill.statistics("magnetic")

from datasets import load_dataset
splits = load_dataset("{folder}")  # {splits}
records = load_dataset("{folder}", "records", split="records")""",
    "sdo": """import skymill
train = skymill.load("sdo", "train")  # a lazy xarray.Dataset: images, available, target
skymill.statistics("sdo")

from datasets import load_dataset
index = load_dataset("{folder}")  # official_train, official_test: the index without images""",
    "aligned": """import skymill
train = skymill.load("aligned", "train")  # series (pairs, 60, 24), images, y, groups
skymill.statistics("aligned")

from datasets import load_dataset
splits = load_dataset("{folder}")  # {splits}: series without images""",
    "ztf": """import skymill
train = skymill.load("ztf", "train")  # stamps (alerts, 3, size, size), y, groups
skymill.statistics("ztf")

from datasets import load_dataset
train = load_dataset("{folder}", "train", split="train")  # each split is a configuration""",
}


def _loading(facts: Facts) -> str:
    names = [
        f"{HUB_NAMES[split.name]} (the folder {split.name})"
        if split.name in HUB_NAMES
        else split.name
        for split in facts.filled
    ]
    example = _EXAMPLES[facts.name].format(
        folder=f"{DEFAULT_RESULTS}/{DATA_SETS[facts.name]}", splits=", ".join(names)
    )
    where = (
        "Run this in the folder that contains the results folder `data`. For another results "
        "folder, add `results=...`."
    )
    return f"{where}\n\n```python\n{example}\n```"


def _archives(facts: Facts) -> str:
    rows = [
        f"- {escaped(archive['title'])}, {_link(archive['page'])}. Licence: "
        f"{escaped(archive['licence'])}."
        for archive in facts.archives.values()
    ]
    how = "Simulated in the format of" if facts.is_simulated else "Made from"
    return "\n".join([f"{how}:", "", *rows])


def _link(address: str) -> str:
    """Return a link if the text is only an address."""
    return f"<{address}>" if re.fullmatch(r"https?://[^\s<>`]+", address) else escaped(address)


def _raw(facts: Facts) -> str:
    rows = [[raw["name"], raw["bytes"], raw["sha256"]] for raw in facts.raw[:FILES_SHOWN]]
    if not rows:
        return "The raw files were unpacked by hand. The manifests have a digest of their list."
    more = len(facts.raw) - len(rows)
    note = f"\n\nAnd {more:,} more: croissant.json lists all raw files." if more else ""
    return markdown_table(["raw file", "bytes", "SHA-256"], rows) + note


def _leaks(facts: Facts, words: Words) -> list[str]:
    if words.leaks:
        proven, not_proven = words.leaks
        return [f"- Proven: {proven}\n- Not proven: {not_proven}", *_shared(facts)]
    receipt = facts.documents[LEAKS]
    counted = [[what, found["in_several_splits"]] for what, found in receipt["leaks"].items()]
    overlap = receipt.get("overlap_with_test_file") or {}
    counted += [
        [f"records of {split} that share a step with the test file", count]
        for split, count in overlap.get("by_split", {}).items()
    ]
    return [
        markdown_table(["in several splits", "count"], counted),
        f"- Proven: {receipt['proven']}\n- Not proven: {receipt['not_proven']}",
    ]


def _shared(facts: Facts) -> list[str]:
    """Return the counts of samples that share something with the test set, if a plan has them."""
    if facts.name != "sdo":
        return []
    shared = facts.counts(SDO_PLAN)["shared_with_test"]
    rows = [[name.replace("_", " "), count] for name, count in sorted(shared.items())]
    return [markdown_table(["shared with the official test set", "samples"], rows)]


def _files(facts: Facts) -> str:
    tables = [
        [
            table,
            column["name"],
            column["type"],
            _shape(column),
        ]
        for table, columns in facts.tables.items()
        for column in columns
    ]
    about = (
        "The checksum of each file is in the manifest in the same folder (`*.manifest.json`) and, "
        "except for tensors, in croissant.json. `skymill.load` refuses a file that does not match "
        "its manifest."
    )
    return f"{markdown_table(['table', 'column', 'type', 'shape'], tables)}\n\n{about}"


def _shape(column: dict) -> str:
    return " x ".join(map(str, column.get("shape", ()))) or "-"


def _bullets(texts) -> str:
    return "\n".join(f"- {text}" for text in texts)
