"""The card of a data set for programs: Croissant 1.1, http://mlcommons.org/croissant/1.1.

The card uses PROV-O for the origin of the data, the RAI extension for their limits, and the
space-weather part of GeoCroissant. It does not claim conformance with GeoCroissant, which requires
a coordinate reference system of the Earth.
"""

import json

import skymill
from skymill import release
from skymill.cards.datasheet import citations, licences, title_of
from skymill.cards.facts import Facts
from skymill.cards.texts import NOISE_PAPER, Words
from skymill.paths import LEAKS, SDO_TENSORS

CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "geocr": "http://mlcommons.org/croissant/geo/",
    "prov": "http://www.w3.org/ns/prov#",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract"),
            *("field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray"),
            *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
            *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source"),
            *("subField", "transform"),
        )
    },
}

TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "float": "cr:Float32",
    "double": "cr:Float64",
    "date32[day]": "sc:Date",
    **{f"int{bits}": f"cr:Int{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"cr:UInt{bits}" for bits in (8, 16, 32, 64)},
}
"""Croissant's name of each Arrow type. Timestamps are sc:DateTime."""

MEANINGS = {"label": "cr:Label", "split": "cr:Split"}
"""The role of columns for a model."""

SPLIT_TYPES = {
    "train": "cr:TrainingSplit",
    "dev": "cr:ValidationSplit",
    "validation": "cr:ValidationSplit",
    "test": "cr:TestSplit",
    "holdout_test": "cr:TestSplit",
}

URL_OF_SPLIT = ["sc:URL", "cr:Split"]
"""The specification's example has cr:Split alone, but mlcroissant does not accept it as a type of
values."""

PARQUET, CSV, ZARR = "application/x-parquet", "text/csv", "application/vnd.zarr"
FORMATS = {
    ".parquet": PARQUET,
    ".csv": CSV,
    ".json": "application/json",
    ".npy": "application/octet-stream",
}


def describe(facts: Facts) -> dict:
    """Return the description as JSON-LD."""
    words = facts.words
    files, records = CONTENTS[facts.name](facts)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": title_of(facts),
        "description": words.what,
        "version": f"{skymill.__version__}+{facts.digest[:12]}",
        "datePublished": release.RELEASED,
        "license": licences(facts),
        "url": next(iter(facts.archives.values()))["page"],
        "citeAs": "; ".join(citations(facts)),
        "creator": [{"@type": "sc:Organization", "name": author} for author in release.AUTHORS],
        "keywords": [*words.tags, *(["simulated"] if facts.is_simulated else [])],
        "isLiveDataset": False,
        "distribution": [*_objects(facts), *files],
        "recordSet": records,
        **_provenance(facts),
        **_responsible(facts, words),
        **_space_weather(words),
    }


def _objects(facts: Facts) -> list[dict]:
    """Return each file with its checksum, except the files of tensors: the manifest has these."""
    return [
        {
            "@type": "cr:FileObject",
            "@id": entry["name"],
            "name": entry["name"],
            "contentUrl": entry["name"],
            "contentSize": f"{entry['bytes']} B",
            "encodingFormat": _format(entry["name"]),
            "sha256": entry["sha256"],
        }
        for entry in facts.files
        if ".zarr/" not in entry["name"]
    ]


def _format(name: str) -> str:
    return next((kind for end, kind in FORMATS.items() if name.endswith(end)), FORMATS[".npy"])


def _file_set(name: str, includes: list[str], kind: str, description: str) -> dict:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": kind,
        "includes": includes,
    }


def _record_set(name: str, columns: list[dict], source: dict, **more) -> dict:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [_field(name, column, source) for column in columns],
        **more,
    }


def _field(records: str, column: dict, source: dict) -> dict:
    kind = TYPES.get(column["type"], "sc:DateTime")
    field = {
        "@type": "cr:Field",
        "@id": f"{records}/{column['name']}",
        "name": column["name"],
        "dataType": [kind, MEANINGS[column["name"]]] if column["name"] in MEANINGS else kind,
        "source": {**source, "extract": {"column": column["name"]}},
    }
    if "shape" in column:
        field |= {"isArray": True, "arrayShape": ",".join(map(str, column["shape"]))}
    if len(column.get("shape", ())) > 1:
        field["description"] = "Stored as one list; the last axis varies fastest."
    return field


def _splits(facts: Facts) -> dict:
    """Return the splits and their roles."""
    known = [split.name for split in facts.filled if split.name in SPLIT_TYPES]
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"},
            {"@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": URL_OF_SPLIT},
        ],
        "data": [{"splits/name": name, "splits/url": SPLIT_TYPES[name]} for name in known],
    }


def _split_folders(facts: Facts, records: str, columns: list[dict], key: list[str]) -> tuple:
    """Return the files of splits that are folders, and the rows of the files with their split."""
    names = [split.name for split in facts.filled]
    files = _file_set(
        f"{records}-files",
        [f"{name}/*.parquet" for name in names],
        PARQUET,
        "One folder per split.",
    )
    source = {"fileSet": {"@id": files["@id"]}}
    rows = _record_set(
        records,
        [column for column in columns if column["name"] != "split"],
        source,
        key=[{"@id": f"{records}/{name}"} for name in key],
    )
    rows["field"].append(
        {
            "@type": "cr:Field",
            "@id": f"{records}/split",
            "name": "split",
            "description": "The name of the file's folder.",
            "dataType": ["sc:Text", "cr:Split"],
            "source": {
                **source,
                "extract": {"fileProperty": "fullpath"},
                # The part after the name is optional, because mlcroissant applies the expression a
                # second time to the reference.
                "transform": {"regex": f"^({'|'.join(names)})(?:/.+\\.parquet)?$"},
            },
            "references": {"field": {"@id": "splits/name"}},
        }
    )
    return files, rows


def _magnetic(facts: Facts) -> tuple[list[dict], list[dict]]:
    key = ["split", "record_id", "seq_id"]
    files, steps = _split_folders(facts, "steps", facts.tables["steps"], key)
    table = {"fileObject": {"@id": "records.parquet"}}
    records = _record_set("records", facts.tables["records"], table)
    return [files], [_splits(facts), steps, records]


def _aligned(facts: Facts) -> tuple[list[dict], list[dict]]:
    files, pairs = _split_folders(facts, "pairs", facts.tables["pairs"], ["sample_id"])
    return [files], [_splits(facts), pairs]


def _sdo(facts: Facts) -> tuple[list[dict], list[dict]]:
    """Return the index of each official set. Tensors are files: no Croissant reader opens Zarr."""
    indices = [
        _record_set(
            f"official_{name}",
            facts.tables["samples"],
            {"fileObject": {"@id": f"{name}_metadata.csv"}},
            description=f"The index of the official set `{name}`, with the split of each sample.",
        )
        for name in ("train", "test")
    ]
    tensors = [
        _file_set(
            f"{name}.zarr",
            [f"{name}.zarr/**"],
            ZARR,
            "A Zarr 3 group. images: uint8, sample x 4 steps x 10 channels x 256 x 256, 0 if the "
            "image is missing. available and flagged: bool, sample x 4 x 10. The samples have the "
            "order of the index.",
        )
        for name in ("train", "test")
        if facts.of_product(f"{name}.zarr") or _is_long(facts, name)
    ]
    return tensors, [_splits(facts), *indices]


def _is_long(facts: Facts, name: str) -> bool:
    """Return whether tensors have so many files that a separate table lists them."""
    return "members" in facts.documents.get(SDO_TENSORS.format(sdo_set=name), {})


def _ztf(facts: Facts) -> tuple[list[dict], list[dict]]:
    table = {"fileObject": {"@id": "stamps.parquet"}}
    key = [{"@id": "alerts/object_id"}, {"@id": "alerts/candid"}]
    return [], [_splits(facts), _record_set("alerts", facts.tables["alerts"], table, key=key)]


CONTENTS = {"magnetic": _magnetic, "sdo": _sdo, "aligned": _aligned, "ztf": _ztf}


def _provenance(facts: Facts) -> dict:
    """Return the sources of the data set and the program that made it, in terms of PROV-O."""
    simulated = " (simulated)" if facts.is_simulated else ""
    return {
        "prov:wasDerivedFrom": [
            *(
                {
                    "@type": "prov:Entity",
                    "prov:label": f"{archive['title']}{simulated}",
                    "prov:atLocation": archive["page"],
                }
                for archive in facts.archives.values()
            ),
            *(
                {
                    "@type": "prov:Entity",
                    "prov:label": raw["name"],
                    "contentSize": f"{raw['bytes']} B",
                    "sha256": raw["sha256"],
                }
                for raw in facts.raw
            ),
        ],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": "The workflow of Skymill",
            "prov:used": f"settings: {json.dumps(facts.settings, sort_keys=True)}",
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"{release.NAME} {skymill.__version__}",
            },
        },
    }


def _responsible(facts: Facts, words: Words) -> dict:
    """Return the collection, annotation and limits of the data, in terms of the RAI extension."""
    leaks = words.leaks or _receipt(facts)
    kind = "Simulation" if facts.is_simulated else "Secondary data analysis"
    return {
        "rai:dataCollection": "; ".join(
            f"{archive['title']} ({archive['page']})" for archive in facts.archives.values()
        ),
        "rai:dataCollectionType": [kind],
        "rai:dataCollectionMissingData": words.imputed,
        "rai:dataImputationProtocol": words.imputed,
        "rai:dataPreprocessingProtocol": [words.made],
        "rai:dataAnnotationProtocol": [words.label],
        "rai:dataAnnotationAnalysis": [words.noise, NOISE_PAPER],
        "rai:dataBiases": [_imbalance(facts)],
        "rai:dataLimitations": [
            *words.limits,
            f"Splits, proven: {leaks[0]}",
            f"Splits, not proven: {leaks[1]}",
        ],
        "rai:dataUseCases": [words.what],
        "rai:personalSensitiveInformation": ["None: the data are about the sky."],
    }


def _receipt(facts: Facts) -> tuple[str, str]:
    receipt = facts.documents[LEAKS]
    return receipt["proven"], receipt["not_proven"]


def _imbalance(facts: Facts) -> str:
    train = next(split for split in facts.splits if split.name == "train")
    listed = ", ".join(f"{label} {count:,}" for label, count in sorted(train.originals.items()))
    return f"The classes are imbalanced. Originals in the training split: {listed}."


def _space_weather(words: Words) -> dict:
    """Return the space-weather part of GeoCroissant."""
    if words.observatory is None:
        return {}
    described = {
        "geocr:solarInstrumentCharacteristics": {
            "@type": "geocr:SolarInstrumentCharacteristics",
            "geocr:observatory": words.observatory,
            "geocr:instrument": words.instrument,
        }
    }
    if words.channels:
        described["geocr:multiWavelengthConfiguration"] = {
            "@type": "geocr:MultiWavelengthConfiguration",
            "geocr:channelList": [
                f"{channel} Å" if channel.isdigit() else channel for channel in words.channels
            ],
        }
    if words.cadence_minutes:
        described["geocr:temporalResolution"] = {
            "@type": "QuantitativeValue",
            "value": words.cadence_minutes,
            "unitText": "min",
        }
    return described
