"""The command `skymill` without finished products. For finished ones see workflow/test_loading."""

import re

import pyarrow as pa
import pytest
import yaml
from records import load_config
from typer.testing import CliRunner

from skymill.command import sizes as module
from skymill.command.app import app
from skymill.command.cite import KEYS, bibliography, cite
from skymill.command.sizes import sizes
from skymill.engine.errors import SkymillError
from skymill.engine.products import describe_file, manifest_path, write_document, write_json
from skymill.engine.tables import write_table
from skymill.paths import BRANCH_FOLDERS, RECORDS


def invoke(*arguments):
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_every_command_is_listed_and_says_what_it_does():
    text = invoke("--help").output
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert names == {
        "summary", "show", "lineage", "cite", "diff", "score", "prune", "verify", "sizes",
    }  # fmt: skip
    for name in names:
        assert name in text
        assert invoke(name, "--help").exit_code == 0


def test_every_branch_has_a_citation_and_every_citation_is_well_formed():
    entries = bibliography()
    assert set(KEYS) == set(BRANCH_FOLDERS)
    assert {key for keys in KEYS.values() for key in keys} == set(entries)
    for key, text in entries.items():
        assert re.match(rf"@\w+\{{{key},\n", text)
        assert text.count("{") == text.count("}")
        assert "title = " in text
        assert "year = " in text


def test_only_branches_with_products_are_cited(tmp_path):
    write_json(tmp_path / "products.json", {"branches": ["stealth"], "products": {}})
    assert re.findall(r"^@\w+\{(\w+),", cite(str(tmp_path)), re.MULTILINE) == [
        "skymill",
        "uci_solar_flare",
    ]


@pytest.mark.parametrize("command", [["cite"], ["diff", "a"]])
def test_an_empty_folder_says_what_to_run(tmp_path, command):
    with pytest.raises(SkymillError, match="run `snakemake`"):
        invoke(*command, str(tmp_path))


def test_unknown_settings_are_not_called_equal(tmp_path):
    write_json(tmp_path / "products.json", {"branches": [], "products": {}})
    said = invoke("diff", str(tmp_path), str(tmp_path)).output
    assert "unknown" in said
    assert "the same\n" not in said


def test_many_files_are_compared_by_their_content(tmp_path):
    for place, sha256, upstream in (("a", "0", "x"), ("b", "0", "y"), ("c", "1", "x")):
        product = "processed/ztf/alert_files"
        path = tmp_path / place / "processed" / "ztf" / "alert_files.manifest.members.parquet"
        path.parent.mkdir(parents=True)
        rows = [
            {"role": "file", "name": f"{product}/1.npy", "sha256": sha256},
            {"role": "input", "name": "preprocessed/ztf/plan.parquet", "sha256": upstream},
        ]
        members = {"folder": product, "count": 1, "bytes": 1, "rows": 1, "listing_sha256": ""}
        made = {
            "product": product,
            "files": [],
            "members": members,
            "members_list": write_table(path, pa.Table.from_pylist(rows)),
        }
        write_document(manifest_path(path.with_name("alert_files")), made)
        known = {"branches": [], "products": {}, "settings": {}}
        write_json(tmp_path / place / "products.json", known)
    said = [invoke("diff", str(tmp_path / "a"), str(tmp_path / other)).output for other in "bc"]
    assert "1 identical, byte for byte" in said[0]
    assert "alert_files: different content, 1 rows" in said[1]


def test_rows_of_a_lost_product_and_of_object_storage_are_not_compared(tmp_path):
    known = {"branches": [], "products": {}, "settings": {}}
    write_json(tmp_path / "products.json", known)
    path = tmp_path / RECORDS
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    entry = {**describe_file(path, 1), "name": RECORDS}
    made = {"product": RECORDS, "source": "sample", "files": [entry]}
    write_document(manifest_path(path), made)
    address = tmp_path.as_uri()
    assert "rows are compared only on a disk" in invoke("diff", address, address).output
    path.unlink()
    with pytest.raises(SkymillError, match=r"records\.parquet is not the file"):
        invoke("diff", str(tmp_path), str(tmp_path))


def test_sizes_are_those_of_the_registry_without_files_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = {
        line.split()[0]: line
        for line in sizes(None, mbit=100, cores=2).splitlines()
        if "GB" in line
    }
    assert re.search(r"17\.\d GB +0\.0 GB +none", rows["magnetic"])
    assert "Kaggle" in rows["stealth"]
    there = tmp_path / "data/raw/solar_flare_2020/test_4_5_data.json"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"{}")
    again = sizes(None, mbit=10, cores=2)
    (row,) = (line for line in again.splitlines() if line.startswith("magnetic"))
    assert re.search(r"4 +\d+\.\d GB +[1-9]\d*\.\d GB", row)
    assert "At 10 Mbit/s" in again


def test_branches_that_are_off_are_in_parentheses(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**load_config("config.yaml"), "branches": ["ztf"]}))
    said = sizes(path, mbit=100, cores=2)
    assert "(magnetic)" in said
    assert re.search(r"^ztf ", said, re.MULTILINE)
    with pytest.raises(SkymillError, match="no configuration"):
        sizes(tmp_path / "nowhere.yaml", mbit=100, cores=2)


def test_a_partial_configuration_is_merged_into_the_default(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("ztf: {crop: 63}\nbranches: [ztf]")
    rest = sizes(None, mbit=100, cores=2).splitlines()[-1]
    assert sizes(path, mbit=100, cores=2).splitlines()[-2] == rest
    path.write_text("")
    assert sizes(path, mbit=100, cores=2) == sizes(None, mbit=100, cores=2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[1]", "contains no settings"),
        (b"a: [", "is not YAML"),
        (b"\xff\xfe", "is not YAML"),
        (b"branches: magnetic", "branches: 'magnetic' is not"),
        (b"magnetic: {input: stars}", r"magnetic\.input: 'stars' is not"),
        (b"nonsense: 1", "nonsense"),
    ],
)
def test_an_invalid_configuration_is_refused(tmp_path, text, says):
    path = tmp_path / "own.yaml"
    path.write_bytes(text)
    with pytest.raises(SkymillError, match=says):
        sizes(path, mbit=100, cores=2)


def test_an_error_prints_only_its_message(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["skymill", "cite", str(tmp_path)])
    from skymill.command.app import main

    with pytest.raises(SystemExit, match="Nothing has been made"):
        main()
    assert module.HEADER[0] == "branch"
