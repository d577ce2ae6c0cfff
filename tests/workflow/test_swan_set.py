"""SWAN-SF as a data set of its own: the products of the magnetic branch, and what is stale when."""

import json

import pyarrow.parquet as pq
import pytest

from dictionary import compare
from projects import Kept, said
from stale_rules import StaleRules

FEATURES = {
    "write_features",
    "diagnose_magnetic",
    "measure_magnetic",
    "illustrate_magnetic",
    "write_card",
}
AUGMENT = {"augment_train", "check_conservation", "write_records"} | FEATURES
PLAN = {"plan_magnetic", "check_leaks"} | AUGMENT
REGIONS = {"find_regions", "check_regions"} | PLAN
IDS = {"assign_ids", "write_clean"} | REGIONS
WINDOWS = {"ingest_windows", "check_ingest"} | IDS
CATALOGUE = {"catalogue_swan_sf", "check_swan_sf"} | WINDOWS
SIMULATE = {"simulate_swan_sf"} | CATALOGUE
PROCESSED = "data/processed/magnetic_data"
PREPROCESSED = "data/preprocessed/solar_flare_2020"


@pytest.fixture(scope="module", name="kept")
def _kept(made_once, tmp_path_factory):
    # Enough records for regions of each class in each split.
    made = made_once(
        "swan_set",
        "{branches: [magnetic], magnetic: {input: swan_sf}, simulate: {magnetic: {records: 900}}}",
    )
    return Kept(made.copy(tmp_path_factory.mktemp("swan_set") / "project"))


@pytest.fixture
def made(kept):
    """Return the project with everything made, to be changed at will."""
    return kept.put_back()


def document(project, name):
    return json.loads(project.path(name).read_text())


def test_a_second_run_does_nothing(made):
    assert made.stale() == set()


def test_the_dictionary_has_every_column(made):
    unmet = compare(made.path("data"), is_swan_sf=True)
    assert "interim/solar_flare_2020/fingerprints/*.parquet" not in unmet


def test_no_file_of_2020_and_no_test_set_is_needed(made):
    assert not made.path("data/sample/raw/solar_flare_2020").exists()
    assert sorted(path.name for path in made.path(PROCESSED).iterdir() if path.is_dir()) == [
        *("dev", "test", "train")
    ]
    assert sorted(path.name for path in made.path(PREPROCESSED).glob("ids_*.parquet")) == [
        "ids_train.parquet"
    ]
    page = made.path("data/processed/magnetic_diagnostics.md").read_text()
    assert "Input: SWAN-SF." in page
    assert "There is no test file." in page
    assert "Windows rejected in the catalogue of SWAN-SF" in page
    card = made.path(f"{PROCESSED}/README.md").read_text()
    assert "doi.org/10.7910/DVN/EBCFKM" in card
    assert "holdout_test" not in card


def test_every_window_is_accounted_for(made):
    counts = document(made, f"{PREPROCESSED}/conservation_train.receipt.json")["counts"]
    catalogued = [
        document(made, f"data/interim/swan_sf/partition{number}/steps.parquet.manifest.json")
        for number in range(1, 6)
    ]
    assert counts["lines"] == sum(each["counts"]["valid"] for each in catalogued) > 0
    assert counts["kept"] == counts["clean_files"] == counts["valid"]


def test_no_harp_and_no_number_is_in_two_splits(made):
    receipt = document(made, f"{PREPROCESSED}/leaks.receipt.json")
    assert sorted(receipt["leaks"]) == ["contents", "harps", "noaa_numbers", "parents", "regions"]
    assert all(leak["in_several_splits"] == 0 for leak in receipt["leaks"].values())
    table = pq.read_table(made.path(f"{PROCESSED}/records.parquet")).to_pandas()
    assert table.groupby("harp")["split"].nunique().max() == 1
    assert table.explode("noaa").groupby("noaa")["split"].nunique().max() == 1
    assert set(table["split"]) == {"train", "dev", "test"}
    assert set(table["partition"]) == {f"partition{number}" for number in range(1, 6)}
    assert ((table["start_tai"] - table["start"]).dt.total_seconds().between(34, 37)).all()


def test_clean_records_have_the_24_parameters_and_splits_their_columns(made):
    clean = next(made.path(f"{PREPROCESSED}/train").glob("*.parquet"))
    names = pq.read_schema(clean).names
    assert len(names) == 6 + 24
    assert "PIL_LEN" not in names
    split = next(made.path(f"{PROCESSED}/train").glob("*.parquet"))
    assert "USFLUX_log_roll_std5" in pq.read_schema(split).names
    assert "PIL_LEN_log" not in pq.read_schema(split).names


@pytest.fixture(scope="module", name="declared")
def _declared(kept):
    return StaleRules(kept.put_back())


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ("seed: 7", PLAN),
        ("collisions: drop_identical", IDS),
        ("split: {unit: record}", {"check_regions"} | PLAN),
        ("magnetic: {quiet_per_flare: 1}\naugmentation: {Q: null}", PLAN),
        ("features: {columns: {swan_sf: [EPSZ]}}", FEATURES),
        ("features: {columns: [EPSZ]}", FEATURES),
        ("simulate: {swan_sf: {seed: 21}}", SIMULATE),
    ],
)
def test_a_changed_setting_reruns_the_stages_that_read_it(made, change, stages):
    made.set(change)
    assert made.stale() == stages


def test_settings_that_affect_no_product_rerun_nothing(made):
    made.set("split: {partitions: {partition1: test, train_partition1_data: dev}}")
    made.set("features: {columns: {cup2020: [EPSZ]}}")
    made.set("limits: {max_rejected_fraction: 0.06, max_rejected_windows_fraction: 0.9}")
    assert made.stale() == set()


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("magnetic/windows.py", WINDOWS),
        ("magnetic/climatology.py", PLAN),
        ("magnetic/catalogue_table.py", WINDOWS),
        ("swan_sf/parse.py", CATALOGUE),
        ("clock.py", PLAN),
        ("magnetic/decimals.py", set()),
        ("ztf/plan.py", set()),
    ],
)
def test_an_edited_module_reruns_the_stages_that_import_it(declared, module, stages):
    assert declared.after_edit(module) == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("magnetic/climatology.py", PLAN),
        ("ztf/plan.py", set()),
    ],
)
def test_a_run_after_an_edit_goes_by_what_rules_declare(made, module, stages):
    path = made.path(f"workflow/scripts/skymill/{module}")
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert made.stale() == stages


def test_a_column_that_swan_sf_cannot_have_is_named_immediately(made):
    made.set("features: {columns: [PIL_LEN_log, EPSZ]}")
    done = made.run("-n", succeeds=False)
    assert "features.columns names PIL_LEN_log (from PIL_LEN), but SWAN-SF" in said(done)


def test_one_partition_trains_and_another_one_tests(made):
    made.set(
        "split: {unit: partition, partitions: "
        "{partition1: train, partition2: test, partition3: null, partition4: null, "
        "partition5: null}}"
    )
    made.set("{magnetic: {quiet_per_flare: 2}, augmentation: null}")
    made.run("--cores", "2")
    table = pq.read_table(made.path(f"{PROCESSED}/records.parquet")).to_pandas()
    by_split = table.groupby("split", observed=True)["partition"].unique()
    assert {name: list(files) for name, files in by_split.items()} == {
        "train": ["partition1"],
        "test": ["partition2"],
    }
    train = table[table["split"] == "train"]["label"].value_counts()
    assert train[["C", "B", "Q"]].sum() == 2 * train[["X", "M"]].sum()
    # Products of the other partitions are leftovers.
    done = made.run("-n")
    assert "interim/solar_flare_2020/catalogue/partition3.parquet" in said(done)
    assert made.stale() == set()


def test_products_of_only_the_first_input_become_leftovers(made):
    made.set("magnetic: {input: cup2020}")
    stale, words = made.look()
    assert {"simulate_magnetic", "ingest_magnetic", "write_clean", "plan_magnetic"} <= stale
    assert "ingest_windows" not in stale
    assert "interim/solar_flare_2020/catalogue/partition1.parquet" in words
    assert "skymill prune data --delete" in words


def test_with_swan_sf_as_input_the_aligned_branch_locates_no_records(made):
    made.set("branches: [magnetic, sdo, aligned]\nsdo: {tensors: false}")
    stale = made.stale()
    assert {"plan_aligned", "report_aligned", "key_swan_sf"} <= stale
    assert not stale & {"key_records", "locate_records", "ingest_magnetic", "catalogue_swan_sf"}
