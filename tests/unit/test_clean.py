"""The clean set has every valid record under its final id, sorted, with unchanged values."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from records import SMALL_BLOCK, Ingested, contents_of, same_bits
from runs import records_of

from skymill.magnetic import catalogue as ingest
from skymill.magnetic import write as module
from skymill.magnetic.ids import read_ids
from skymill.magnetic.schema import PARAMETERS, STEPS, TRAIN_PARTITIONS
from skymill.magnetic.store import pieces
from skymill.magnetic.write import clean_schema, write_clean


@pytest.mark.parametrize("collection", ["train", "test"])
def test_every_record_has_sixty_rows_in_order_under_its_final_id(small_run, collection):
    ids = read_ids(small_run.ids[collection])
    table = small_run.read(small_run.clean[collection])
    assert table.schema.equals(clean_schema())
    frame = table.to_pandas()
    for name in ("record_id", "source_id", "partition"):
        assert frame[name].tolist() == np.repeat(ids[name], STEPS).tolist()
    assert frame["seq_id"].tolist() == list(range(STEPS)) * len(ids)
    assert (frame["safe_index"] == frame["record_id"] * STEPS + frame["seq_id"]).all()
    assert frame["safe_index"].is_monotonic_increasing


def test_labels_are_those_of_the_raw_files_and_null_in_the_test_file(small_run):
    labels = small_run.read(small_run.clean["train"])["label"].to_pylist()
    assert labels[::STEPS] == read_ids(small_run.ids["train"])["label"].tolist()
    assert set(small_run.read(small_run.clean["test"])["label"].to_pylist()) == {None}


@pytest.mark.parametrize("collection", ["train", "test"])
def test_values_equal_the_ingested_values_bit_for_bit(small_run, collection):
    ids = read_ids(small_run.ids[collection])
    frame = small_run.read(small_run.clean[collection]).to_pandas()
    got = frame[list(PARAMETERS)].to_numpy().reshape(len(ids), STEPS, -1)
    ingested = {name: done.values() for name, done in small_run.ingested.items()}
    for number, row in ids.iterrows():
        expected = ingested[row["partition"]][:, row["position"]].T
        assert same_bits(got[number], expected)


def test_some_records_of_the_run_were_renumbered(small_run):
    ids = read_ids(small_run.ids["train"])
    assert ids["renumbered"].any()
    assert (ids.loc[ids["renumbered"], "record_id"] >= 171_038).all()


def test_records_are_gathered_from_many_files_in_any_order(small_run, tmp_path, monkeypatch):
    # Ids descend in partition 2, so that its files are read from the last to the first.
    monkeypatch.setattr(ingest, "BLOCK_BYTES", SMALL_BLOCK)
    stores = {}
    for name in TRAIN_PARTITIONS:
        done = Ingested(small_run.folder / f"{name}.json", tmp_path)
        assert len(done.content["files"]) > 3
        stores[name] = done.store
    write_clean(small_run.ids["train"], records_of(stores), tmp_path / "train")
    assert contents_of(tmp_path / "train") == contents_of(small_run.clean["train"])


@pytest.mark.parametrize("workers", [1, 2])
def test_records_are_the_same_for_any_number_of_files_and_workers(
    small_run, tmp_path, monkeypatch, workers
):
    monkeypatch.setattr(module, "pieces", lambda total: pieces(total, 7))
    stores = {name: small_run.ingested[name].store for name in TRAIN_PARTITIONS}
    files = write_clean(
        small_run.ids["train"], records_of(stores), tmp_path / "train", workers=workers
    )
    assert [file["rows"] // STEPS for file in files] == [7] * 8 + [4]
    small_run._write_manifest(tmp_path / "train", files, {})
    whole = small_run.read(small_run.clean["train"])
    assert small_run.read(tmp_path / "train").equals(whole)
    before = contents_of(tmp_path / "train")
    write_clean(small_run.ids["train"], records_of(stores), tmp_path / "train")
    assert contents_of(tmp_path / "train") == before


def test_page_checksums_are_a_setting_that_changes_no_value(small_run, tmp_path):
    stores = {name: small_run.ingested[name].store for name in TRAIN_PARTITIONS}
    write_clean(
        small_run.ids["train"], records_of(stores), tmp_path / "train", page_checksums=False
    )
    refused = []
    for folder in (small_run.clean["train"], tmp_path / "train"):
        part = sorted(folder.glob("*.parquet"))[0]
        good = pq.read_table(part)
        assert good.equals(pq.read_table(small_run.clean["train"] / part.name))
        column = pq.read_metadata(part).row_group(0).column(good.schema.get_field_index("EPSZ"))
        content = bytearray(part.read_bytes())
        # A bit in the middle of the values: zstd itself has no checksum here.
        content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
        damaged = tmp_path / f"{folder.parent.name}.parquet"
        damaged.write_bytes(content)
        try:
            pq.read_table(damaged, page_checksum_verification=True)
        except OSError as error:
            refused.append("CRC" in str(error))
        else:
            refused.append(False)
    assert refused == [True, False]
