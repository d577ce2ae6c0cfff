"""Finished products are loaded with the package and shown by the command."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import zarr
from typer.testing import CliRunner

import skymill
from skymill.command.app import app
from skymill.command.diff import diff
from skymill.command.show import show
from skymill.engine.errors import SkymillError
from skymill.engine.products import Product
from skymill.magnetic.schema import SPLITS
from skymill.sdo.statistics import SamplesPiece, count_levels


@pytest.fixture(name="data")
def _data(looked_at):
    return looked_at.path("data")


def command(*arguments):
    """Return the output of the command."""
    done = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_split_has_the_values_of_its_files(data):
    for split in SPLITS:
        loaded = skymill.load("magnetic", split, data)
        frame = pd.read_parquet(data / "processed" / "magnetic_data" / split)
        assert len(loaded) == Product(data / "processed" / "magnetic_data" / split).rows // 60
        assert (frame[[*loaded.columns]].to_numpy().reshape(loaded.X.shape) == loaded.X).all()
        labels = frame["label"].astype(str).to_numpy()[::60]
        assert [("unknown", *loaded.classes)[code + 1] for code in loaded.y] == labels.tolist()
    train = skymill.load("magnetic", "train", data)
    test = skymill.load("magnetic", "test", data)
    assert not {*train.groups} & {*test.groups}


def test_images_are_lazy_and_missing_images_are_masked(data):
    samples = skymill.load("sdo", "validation", data, masked=True)
    index = pd.read_csv(data / "processed" / "sdo" / "train_metadata.csv")
    rows = np.flatnonzero(index["split"] == "validation")
    assert samples.sizes["sample"] == len(rows) > 0
    assert samples["label"].to_numpy().tolist() == index["label"].iloc[rows].tolist()
    assert samples["channel"].to_numpy().tolist()[-1] == "magnetogram"
    assert samples["images"].chunks is not None
    raw = zarr.open_group(data / "processed" / "sdo" / "train.zarr", mode="r")
    images, there = raw["images"][int(rows[0])], raw["available"][int(rows[0])]
    found = samples["images"].isel(sample=0).to_numpy()
    assert (np.isnan(found).all(axis=(2, 3)) == ~there).all()
    assert (found[there] == images[there]).all()
    one = skymill.load("sdo", "validation", data)["images"].isel(sample=0)
    assert one.dtype == np.uint8
    assert (one.to_numpy() == images).all()


def test_xarray_opens_the_tensors_without_a_warning_and_knows_the_times(data):
    import xarray as xr

    opened = xr.open_zarr(data / "processed" / "sdo" / "test.zarr")
    index = pd.read_csv(data / "processed" / "sdo" / "test_metadata.csv", parse_dates=["end"])
    assert (opened["end"].to_numpy() == index["end"].to_numpy("M8[ns]")).all()
    assert opened["step"].to_numpy().tolist() == [0, 420, 630, 710]
    assert opened["images"].encoding["chunks"] == (1, 4, 1, 256, 256)


def test_damaged_images_are_named_when_they_are_read(finished):
    data = finished.path("data")
    shard = data / "processed" / "sdo" / "test.zarr" / "images/c/0/0/0/0/0"
    content = bytearray(shard.read_bytes())
    shard.unlink()  # other projects have links to the file
    shard.write_bytes(content)
    items = skymill.Dataset("sdo", "test", data)
    name = str(skymill.load("sdo", "test", data)["sample_id"].to_numpy()[0])
    piece = SamplesPiece(data / "processed" / "sdo" / "test.zarr", (0,))
    readers = (lambda: items[0], lambda: show(name, str(data)), lambda: count_levels(piece))
    for at in (100, len(content) - 100):  # in the first chunk, and in the index of the chunks
        content[at] ^= 1
        shard.write_bytes(content)
        for read in readers:
            with pytest.raises(SkymillError, match=r"test\.zarr .*sample 0: .*skymill verify"):
                read()
        content[at] ^= 1
    shard.write_bytes(content)
    assert items[0][0].any()


def test_index_and_tensors_of_different_runs_are_refused(finished):
    folder = finished.path("data/processed/sdo")
    for end in ("", ".manifest.json"):
        shutil.rmtree(folder / f"train.zarr{end}", ignore_errors=True)
        (folder / f"train.zarr{end}").unlink(missing_ok=True)
        (folder / f"test.zarr{end}").rename(folder / f"train.zarr{end}")
    with pytest.raises(SkymillError, match="do not have the rows"):
        skymill.load("sdo", "train", finished.path("data"))


def test_a_record_is_traced_to_its_line(data):
    records = pd.read_parquet(data / "processed" / "magnetic_data" / "records.parquet")
    copy = records[(records["split"] == "train") & records["parent"].notna()].iloc[0]
    told = skymill.lineage(copy["record_id"], results=data)
    assert (told.parent, told.method) == (copy["parent"], copy["method"])
    assert told.split == "train"
    raw = data / "sample" / "raw" / "solar_flare_2020" / told.file
    line = raw.read_text().splitlines()[told.line - 1]
    assert line.startswith(f'{{"{told.source_id}": ')
    assert str(told.parent) in str(told)
    held_out = records[records["split"] == "holdout_test"].iloc[0]
    told = skymill.lineage(held_out["record_id"], "holdout_test", data)
    assert told.file == "test_4_5_data.json"
    with pytest.raises(SkymillError, match="no record 999999"):
        skymill.lineage(999999, results=data)


def test_the_command_shows_records_samples_and_objects(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    records = pd.read_parquet(data / "processed" / "magnetic_data" / "records.parquet")
    parent = int(records["parent"].dropna().iloc[0])
    index = pd.read_csv(data / "processed" / "sdo" / "test_metadata.csv").iloc[0]
    stars = pd.read_csv(data / "processed" / "ztf" / "labels.csv").iloc[0]
    for name, says in (
        (str(parent), "line"),
        (f"{index['ar_num']}_{index['time_id']}", index["goes_class"]),
        (stars["object_id"], stars["label"]),
    ):
        assert says in command("show", name, "--results", data)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SkymillError, match="no object ZTF00nothing"):
        command("show", "ZTF00nothing", "--results", data)


def test_the_command_says_what_was_made_and_what_to_cite(data):
    assert "processed/magnetic_data/train" in command("summary", data)
    said = command("cite", data)
    assert "@software{skymill" in said
    assert "10.24432/C5530G" in said
    assert "bellm2019ztf" in said
    keys = re.findall(r"^@\w+\{(\w+),", said, re.MULTILINE)
    assert len(keys) == len({*keys})


def test_two_results_folders_are_compared(finished):
    data = finished.path("data")
    assert "the same\n" in diff(str(data), str(data))
    assert "different content" not in diff(str(data), str(data))
    finished.set("{results: other, seed: 8}")
    finished.run("--cores", "2", "other/processed/magnetic_data/records.parquet")
    said = diff(str(data), str(finished.path("other")))
    assert "  seed: 2020 -> 8" in said
    assert re.search(r"split \w+ -> \w+: [\d,]+ rows", said)
    assert "the same label in all rows" in said
