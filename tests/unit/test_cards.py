"""Cards describe a data set to people and programs, and both can load it from its card."""

import json
import re
from dataclasses import replace

import mlcroissant
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from records import REPOSITORY

import skymill
from loaders import loads_croissant
from skymill import release
from skymill.cards.croissant import describe
from skymill.cards.datasheet import FILES_SHOWN, front_matter, write_datasheet
from skymill.cards.facts import gather
from skymill.cards.texts import WORDS
from skymill.engine.errors import SkymillError
from skymill.engine.products import describe_file
from skymill.engine.tables import describe_columns
from skymill.paths import DATA_SETS
from skymill.release_crate import describe_release

SERIES = pa.list_(pa.float32(), 6)
SCHEMA = pa.schema(
    [
        pa.field("sample_id", pa.string()),
        pa.field("row", pa.int32()),
        pa.field("record_id", pa.int64()),
        pa.field("label", pa.dictionary(pa.int8(), pa.string())),
        pa.field("end", pa.timestamp("ms")),
        pa.field("flags", pa.list_(pa.string())),
        pa.field("series", SERIES, metadata={"shape": "[3, 2]"}),
    ]
)


def archive(**changed):
    """Return an entry of config/sources.yaml with the fields that cards use."""
    entry = {
        "title": "An archive",
        "page": "https://example.org/archive",
        "licence": "CC BY 4.0",
        "citation": "Somebody 2020, Journal 1, 1",
    }
    return {**entry, **changed}


def raw_file(name):
    """Return the receipt of a raw file."""
    return {"raw": {"name": name, "bytes": 1, "sha256": "a" * 64, "source": "archive"}}


def product(name, files=(), **content):
    """Return a manifest."""
    return {"product": name, "source": "archive", "files": list(files), **content}


def aligned_documents(folder=None):
    """Return the manifests of a small aligned data set, and its files if asked for."""
    by_split = {
        "train": {"pairs": 3, "by_label": {"X": 0, "M": 1, "C": 0, "Q": 2}},
        "validation": {"pairs": 0, "by_label": {"X": 0, "M": 0, "C": 0, "Q": 0}},
        "test": {"pairs": 1, "by_label": {"X": 1, "M": 0, "C": 0, "Q": 0}},
        "excluded": {"pairs": 2, "by_label": {"X": 0, "M": 0, "C": 0, "Q": 2}},
    }
    tables = {"pairs": describe_columns(SCHEMA)}
    documents = [
        product("processed/aligned/statistics.json", tables=tables),
        product("preprocessed/aligned/pairs.parquet", counts={"by_split": by_split}),
    ]
    for name in ("train", "validation", "test"):
        entries = []
        for part in range(2 if name == "train" else 1):
            rows = {"train": (2, 1), "validation": (0,), "test": (1,)}[name][part]
            entry = {"name": f"part-{part}.parquet", "bytes": 1, "sha256": "b" * 64, "rows": rows}
            if folder:
                path = folder / name / entry["name"]
                path.parent.mkdir(exist_ok=True)
                pq.write_table(pairs(rows, first=2 * part), path)
                entry = describe_file(path, rows)
            entries.append({**entry, "name": f"processed/aligned/{name}/{entry['name']}"})
        documents.append(product(f"processed/aligned/{name}", entries))
    return documents


def pairs(rows, first=0):
    """Return some pairs; each has its own values."""
    place = np.arange(first, first + rows)
    series = (place[:, None] + np.arange(6) / 10).astype(np.float32)
    series[:, 5] = np.nan
    columns = [
        pa.array([f"s{number}" for number in place], pa.string()),
        pa.array(place, pa.int32()),
        pa.array([None if number == 1 else number for number in place.tolist()], pa.int64()),
        pa.array(["Q"] * rows, pa.string()).dictionary_encode().cast(SCHEMA.field("label").type),
        pa.array(place.astype("M8[ms]")),
        pa.array([["a", "b"][: number % 3] for number in place], pa.list_(pa.string())),
        pa.FixedSizeListArray.from_arrays(pa.array(series.reshape(-1)), type=SERIES),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def facts_of(name="aligned", documents=None, *, raw=("raw:file",), source=None, **archives):
    """Return the facts of a data set."""
    documents = documents or aligned_documents()
    if source:
        documents = [{**document, "source": source} for document in documents]
    settings = {"settings": {"seed": 1}, "archives": archives or {"swan_sf": archive()}}
    return gather(name, documents, [], [raw_file(one) for one in raw], settings)


def magnetic_documents():
    """Return the manifests of a magnetic data set without a row in dev and without a test file."""
    labels = dict.fromkeys("XMCBQ", 1)
    by_split = {
        name: {"originals_by_label": dict.fromkeys("XMCBQ", count)}
        for name, count in (("train", 1), ("dev", 0), ("test", 1))
    }
    leaks = {
        kind: {"in_several_splits": 0, "records": 0} for kind in ("regions", "parents", "contents")
    }
    splits = [
        product(
            f"processed/magnetic_data/{name}",
            [
                {
                    "name": f"processed/magnetic_data/{name}/part-00000.parquet",
                    "bytes": 1,
                    "sha256": "c" * 64,
                    "rows": 60 * records,
                }
            ],
            counts={"records": records, "records_by_label": labels},
        )
        for name, records in (("train", 40), ("dev", 0), ("test", 5))
    ]
    return [
        *splits,
        product("preprocessed/solar_flare_2020/plan.parquet", counts={"by_split": by_split}),
        product(
            "processed/magnetic_data/statistics.json",
            tables={
                "steps": [{"name": "label", "type": "string"}],
                "records": [{"name": "split", "type": "string"}],
            },
        ),
        product(
            "preprocessed/solar_flare_2020/leaks.receipt.json",
            leaks=leaks,
            proven="no two splits share a step",
            not_proven="that no two splits share a region",
        ),
    ]


@pytest.mark.parametrize("source", ["sample", "local", "archive"])
def test_only_simulated_data_sets_say_so_in_their_names(source):
    facts = facts_of(source=source)
    page, croissant = write_datasheet(facts), describe(facts)
    is_simulated = source == "sample"
    assert ("SIMULATED" in front_matter(facts)["pretty_name"]) == is_simulated
    assert ("SIMULATED" in croissant["name"]) == is_simulated
    assert ("> **SIMULATED DATA.**" in page) == is_simulated
    assert ("CC BY 4.0" in front_matter(facts)["license_details"]) != is_simulated


def test_the_front_matter_is_yaml_that_names_the_files_of_each_split():
    page = write_datasheet(facts_of("magnetic", magnetic_documents(), magnetic=archive()))
    matter = yaml.safe_load(page.split("---\n")[1])
    default = matter["configs"][0]
    # The library refuses splits without rows. Its name for dev is validation.
    assert default["data_files"] == [
        {"split": "train", "path": "train/*.parquet"},
        {"split": "test", "path": "test/*.parquet"},
    ]
    assert matter["size_categories"] == ["1K<n<10K"]


def test_a_validation_split_has_the_name_that_the_hub_expects():
    documents = magnetic_documents()
    documents[1]["counts"]["records"] = 3
    facts = facts_of("magnetic", documents, magnetic=archive())
    files = front_matter(facts)["configs"][0]["data_files"]
    assert {"split": "validation", "path": "dev/*.parquet"} in files


def test_a_set_of_swan_sf_windows_does_not_mention_the_files_of_2020():
    facts = facts_of("magnetic", magnetic_documents(), swan_sf=archive(title="SWAN-SF"))
    facts = replace(facts, settings={"magnetic.input": "swan_sf"})
    page, croissant = write_datasheet(facts), json.dumps(describe(facts))
    for text in (page, croissant):
        assert "SWAN-SF" in text
        assert "holdout_test" not in text
        assert "no times" not in text
        assert "XR_MAX" not in text


def test_a_card_distinguishes_copies_from_originals():
    page = write_datasheet(facts_of("magnetic", magnetic_documents(), magnetic=archive()))
    assert re.search(r"\| train +\| +40 \| +5 \| +1 \|", page)
    assert "Originals in the training split: B 1, C 1" in json.dumps(
        describe(facts_of("magnetic", magnetic_documents(), magnetic=archive()))
    )


def test_the_leak_policy_is_that_of_the_receipt():
    facts = facts_of("magnetic", magnetic_documents(), magnetic=archive())
    page, croissant = write_datasheet(facts), describe(facts)
    assert "- Proven: no two splits share a step" in page
    assert "- Not proven: that no two splits share a region" in page
    assert any("share a region" in text for text in croissant["rai:dataLimitations"])


def test_every_card_mentions_label_noise():
    assert all("arXiv:2512.13417" in words.noise for words in WORDS.values())
    assert {*WORDS} == {*DATA_SETS}
    assert "arXiv:2512.13417" in write_datasheet(facts_of())


def test_text_from_the_data_is_never_markup():
    name = "raw:[x](http://evil.example)|<b>\n# heading"
    documents = aligned_documents()
    documents[0]["warnings"] = ["odd: <script>alert(1)</script>"]
    facts = facts_of("aligned", documents, raw=[name], swan_sf=archive(title="*A* `b` | <i>"))
    body = write_datasheet(facts).split("---\n", 2)[2]
    assert "<script>" not in body
    assert "<b>" not in body
    assert "\n# heading" not in body
    assert "](http" not in body
    assert "<i>" not in body


def test_the_page_lists_some_of_many_raw_files_and_croissant_lists_all():
    names = [f"raw:{number:04}" for number in range(FILES_SHOWN + 5)]
    facts = facts_of(raw=names)
    page = write_datasheet(facts)
    assert page.count("| raw&#58;" if "raw&#58;" in page else "| raw:") == FILES_SHOWN
    assert "And 5 more" in page
    derived = describe(facts)["prov:wasDerivedFrom"]
    assert [entry["prov:label"] for entry in derived[1:]] == names


def test_the_version_changes_with_the_content_and_equal_content_has_equal_cards():
    documents = aligned_documents()
    first = facts_of("aligned", documents)
    assert describe(first) == describe(facts_of("aligned", list(reversed(documents))))
    documents[2]["files"][0]["sha256"] = "d" * 64
    other = facts_of("aligned", documents)
    assert describe(first)["version"] != describe(other)["version"]
    assert describe(first)["version"].startswith(f"{skymill.__version__}+")


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """Return the folder of a small aligned data set with its card."""
    facts = facts_of("aligned", aligned_documents(tmp_path))
    (tmp_path / "croissant.json").write_text(json.dumps(describe(facts)))
    return tmp_path


@loads_croissant
def test_mlcroissant_finds_no_errors(folder):
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert dataset.metadata.conforms_to[0] == "http://mlcommons.org/croissant/1.1"
    (series,) = [
        field
        for records in dataset.metadata.record_sets
        for field in records.fields
        if field.name == "series"
    ]
    assert series.array_shape_tuple == (3, 2)
    assert series.is_array


@loads_croissant
def test_mlcroissant_loads_the_values_of_the_files(folder):
    records = [*mlcroissant.Dataset(folder / "croissant.json").records("pairs")]
    records.sort(key=lambda record: (record["pairs/split"] == b"test", record["pairs/row"]))
    expected = pa.concat_tables([pairs(3), pairs(1)]).to_pylist()
    assert [record["pairs/split"] for record in records] == [b"train"] * 3 + [b"test"]
    for record, pair in zip(records, expected, strict=True):
        assert record["pairs/sample_id"].decode() == pair["sample_id"]
        assert record["pairs/record_id"] == pair["record_id"]
        assert record["pairs/label"].decode() == pair["label"]
        assert record["pairs/end"] == pair["end"]
        assert [flag.decode() for flag in record["pairs/flags"]] == pair["flags"]
        assert np.array_equal(record["pairs/series"], pair["series"], equal_nan=True)


@loads_croissant
def test_mlcroissant_can_load_a_single_split(folder):
    dataset = mlcroissant.Dataset(folder / "croissant.json")
    (record,) = dataset.records("pairs", filters={"pairs/split": "test"})
    assert record["pairs/split"] == b"test"


@loads_croissant
def test_a_single_file_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "stamps.parquet"
    columns = {"object_id": ["a", "b"], "candid": [1, 2], "split": ["train", "test"]}
    pq.write_table(pa.table(columns), path)
    by_split = {
        "train": {"alerts": 1, "by_label": {"QSO": 1}},
        "test": {"alerts": 1, "by_label": {"QSO": 1}},
    }
    entry = {**describe_file(path, 2), "name": "processed/ztf/stamps.parquet"}
    documents = [
        product("processed/ztf/stamps.parquet", [entry]),
        product(
            "processed/ztf/statistics.json",
            counts={"by_split": by_split},
            tables={"alerts": describe_columns(pq.read_schema(path))},
        ),
    ]
    facts = facts_of("ztf", documents, ztf=archive())
    (tmp_path / "croissant.json").write_text(json.dumps(describe(facts)))
    dataset = mlcroissant.Dataset(tmp_path / "croissant.json")
    assert [record["alerts/candid"] for record in dataset.records("alerts")] == [1, 2]
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(mlcroissant.GenerationError, match="Download") as refused:
        [*mlcroissant.Dataset(tmp_path / "croissant.json").records("alerts")]
    assert "is not identical with the reference" in str(refused.value.__cause__)


def test_the_part_about_the_sun_follows_geocroissant():
    channels = describe(facts_of())["geocr:multiWavelengthConfiguration"]
    assert channels["geocr:channelList"][0] == "94 Å"
    assert channels["geocr:channelList"][-1] == "magnetogram"
    stars = describe(facts_of("ztf", NO_ALERTS, ztf=archive()))
    assert not any(key.startswith("geocr:") for key in stars)


STAMPS = {"name": "processed/ztf/stamps.parquet", "bytes": 1, "sha256": "e" * 64, "rows": 0}
NO_ALERTS = [
    product("processed/ztf/stamps.parquet", [STAMPS]),
    product(
        "processed/ztf/statistics.json",
        counts={"by_split": {}},
        tables={"alerts": [{"name": "object_id", "type": "string"}]},
    ),
]


@loads_croissant
def test_an_empty_cross_match_has_a_card(tmp_path):
    facts = facts_of("ztf", NO_ALERTS, ztf=archive())
    names = [config["config_name"] for config in front_matter(facts)["configs"]]
    assert names == ["train", "validation", "test"]
    (tmp_path / "croissant.json").write_text(json.dumps(describe(facts)))
    assert not mlcroissant.Dataset(tmp_path / "croissant.json").metadata.ctx.issues.errors


def test_arrays_have_shapes():
    columns = {column["name"]: column for column in describe_columns(SCHEMA)}
    assert columns["label"] == {"name": "label", "type": "string"}
    assert columns["series"] == {"name": "series", "type": "float", "shape": [3, 2]}
    assert columns["flags"]["shape"] == [-1]


def test_citation_file_and_package_name_the_same_release():
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert [author["name"] for author in cited["authors"]] == list(release.AUTHORS)
    assert (cited["title"], cited["license"]) == (release.NAME, release.LICENCE)
    assert cited["version"] == skymill.__version__
    assert str(cited["date-released"]) == release.RELEASED


def test_a_release_is_a_workflow_crate_whose_parts_exist(tmp_path):
    crate = describe_release(REPOSITORY)
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    root, workflow = entities["./"], entities["workflow/Snakefile"]
    assert root["mainEntity"] == {"@id": "workflow/Snakefile"}
    assert "ComputationalWorkflow" in workflow["@type"]
    assert entities[workflow["programmingLanguage"]["@id"]]["name"] == "Snakemake"
    assert [entities[author["@id"]]["name"] for author in root["author"]] == [*release.AUTHORS]
    assert entities[root["license"]["@id"]]["name"] == release.LICENCE
    assert all((REPOSITORY / part["@id"]).is_file() for part in root["hasPart"])
    assert {part["@id"] for part in root["hasPart"]} <= {*entities}
    with pytest.raises(SkymillError, match="complete checkout"):
        describe_release(tmp_path)
