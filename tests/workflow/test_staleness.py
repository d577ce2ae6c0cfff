"""A change makes exactly the affected stages stale, and no product is made twice."""

import os

import pytest

from stale_rules import StaleRules

CARD = {"write_card"}
FEATURES = {
    "write_features",
    "diagnose_magnetic",
    "measure_magnetic",
    "illustrate_magnetic",
} | CARD
AUGMENT = {"augment_train", "check_conservation", "write_records"} | FEATURES
PLAN = {"plan_magnetic", "check_leaks"} | AUGMENT
REGIONS = {"find_regions", "check_regions"} | PLAN
IDS = {"assign_ids", "write_clean"} | REGIONS
INGEST = {"ingest_magnetic", "check_ingest"} | IDS
VERIFY = {"verify_raw"} | INGEST
SIMULATE = {"simulate_magnetic"} | VERIFY
STEALTH = {"ingest_stealth", "convert_stealth", "illustrate_stealth"}
SIMULATE_STEALTH = {"simulate_stealth", "verify_raw"} | STEALTH
SDO_SECTION = {"illustrate_sdo"}
INDEX = {"plan_sdo", "index_sdo", "report_sdo", "measure_sdo"} | SDO_SECTION | CARD
SDO_PLAN = {"tensors_sdo"} | INDEX
SDO = {"unpack_sdo", "locate_sdo", "catalogue_sdo", "check_sdo"} | SDO_PLAN
EXPORT = {"export_ztf"}
ZTF_SECTION = {"illustrate_ztf"}
ZTF_PLAN = {"plan_ztf", "gather_ztf", "report_ztf", "measure_ztf"} | ZTF_SECTION | EXPORT | CARD
NIGHT = {"extract_night", "check_night"} | ZTF_PLAN
CHECK_LABELS = {"check_labels"} | NIGHT
LABELS = {"read_labels"} | CHECK_LABELS
SIMULATE_ZTF = {"simulate_night", "simulate_ztf_labels"} | LABELS
SIMULATE_SDO = {"simulate_sdo", "verify_raw"} | SDO


def test_a_second_run_does_nothing(finished):
    assert finished.stale() == set()


@pytest.fixture(scope="session", name="declared")
def _declared(_finished):
    return StaleRules(_finished.put_back())


@pytest.mark.parametrize(
    "changes",
    # Settings of several branches change together, because no rule belongs to two branches. Only
    # the cards of all data sets have one rule, so settings that write no card are together, too.
    [
        {"seed: 7": PLAN | INDEX | ZTF_PLAN},
        {
            "collisions: drop_identical": IDS,
            "sdo: {tensors: false}": {"measure_sdo"} | SDO_SECTION | CARD,
            "labels: {min_probability: 0.5}": LABELS,
        },
        {
            "magnetic: {page_checksums: false}": {"write_clean"} | AUGMENT,
            "sdo: {flux_scale: 1.0}": INDEX,
            "labels: {source: catalogue}": LABELS,
        },
        {
            "split: {unit: record}": {"check_regions"} | PLAN,
            "sdo: {split: cleaned}": INDEX,
            "labels: {columns: {object: oid}}": LABELS,
        },
        {
            "split: {fractions: {train: 0.9, dev: 0.05, test: 0.05}}": PLAN,
            "sdo: {validation_fraction: 0.3}": INDEX,
            "labels: {unknown: drop}": LABELS,
        },
        {
            "split: {augment: all}": PLAN,
            "limits: {min_slots_filled: 0.95}": {"check_sdo"} | SDO_PLAN,
            "labels: {map: {AGN: null, QSO: QSO}}": LABELS,
        },
        {"split: {folds: 5}": PLAN, "ztf: {extract: all}": NIGHT},
        {"augmentation: {M: {warp: 2, scale: 1}}": PLAN, "ztf: {edge: drop}": NIGHT},
        {"augmentation: {M: null}": PLAN, "ztf: {no_data: keep}": NIGHT},
        {"augmentation: {M: {warp: null}}": PLAN, "ztf: {representative: last}": ZTF_PLAN},
        {"augmentation: null": PLAN, "ztf: {sample: {Otro: 5}}": ZTF_PLAN},
        {"features: {fill: zero}": FEATURES},
        {"features: {columns: [EPSZ]}": FEATURES},
        {"ztf: {csv: data}": {"export_ztf"}, "ztf: {alert_files: true}": {"write_alert_files"}},
        {
            "simulate: {magnetic: {seed: 21}}": SIMULATE,
            "simulate: {ztf: {seed: 21}}": SIMULATE_ZTF,
        },
        {"simulate: {sdo: {seed: 21}}": SIMULATE_SDO},
        {"simulate: {stealth: {seed: 21}}": SIMULATE_STEALTH},
    ],
    ids=" and ".join,
)
def test_a_changed_setting_reruns_the_stages_that_read_it(looked_at, changes):
    for change in changes:
        looked_at.set(change)
    assert looked_at.stale() == set().union(*changes.values())


def test_settings_that_affect_no_product_rerun_nothing(looked_at):
    # All settings in one dry run: if one of them affected a product, a job would rerun.
    for change in (
        "split: {partitions: {train_partition2_data: train}}",
        "limits: {max_rejected_fraction: 0.06}",
        "limits: {max_dropped_fraction: 0.6}",
        "limits: {max_region_fraction: 0.6}",
        "limits: {max_damaged_fraction: 0.5}",
        "limits: {max_unplaced_fraction: 0.5}",
        "limits: {max_lost_samples_fraction: 0.5}",
        "limits: {max_ignored_members_fraction: 0.5}",
        "limits: {min_slots_filled: 0.1}",
        "limits: {min_slots_filled_by_channel: 0.1}",
        "limits: {min_slots_filled_by_year: 0.1}",
        "retrieve: {attempts: 9}",
        "limits: {max_rejected_labels_fraction: 0.5}",
        "limits: {max_conflicting_labels_fraction: 0.5}",
        "ztf: {accept_truncated: [20180602]}",
        "limits: {max_corrupt_fraction: 0.5}",
        "limits: {max_lost_stamps_fraction: 0.6}",
        "limits: {max_repeated_fraction: 0.6}",
        "limits: {max_ignored_fraction: 0.6}",
    ):
        looked_at.set(change)
    assert looked_at.stale() == set()


def test_fractions_are_ignored_with_folds(finished):
    finished.set("split: {folds: 5, fold: 0}")
    finished.run("--cores", "2", "magnetic")
    finished.set("split: {fractions: {train: 0.9, dev: 0.05, test: 0.05}}")
    assert finished.stale() == set()
    finished.set("split: {fold: 1}")
    assert finished.stale() == PLAN


def test_settings_changed_together_rerun_the_jobs_of_each_change(finished):
    finished.set("{seed: 7, limits: {max_rejected_fraction: 0.06}, split: {unit: record}}")
    assert finished.stale() == {"check_regions"} | PLAN | INDEX | ZTF_PLAN


def test_settings_of_the_training_set_do_not_affect_the_test_file(finished):
    for change in ("seed: 7", "split: {augment: all}", "augmentation: {M: {warp: 2}}"):
        finished.set(change)
        output = finished.run("-n").stdout
        assert "magnetic_data/train" in output
        assert "output: data/preprocessed/solar_flare_2020/test," not in output


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("simulate/marginals.py", SIMULATE),
        ("raw/files.py", SIMULATE | SIMULATE_SDO | SIMULATE_STEALTH | SIMULATE_ZTF),
        ("simulate/active_regions.py", SIMULATE_SDO),
        ("solar_regions.py", SIMULATE_SDO | REGIONS),
        ("sdo/images.py", {"catalogue_sdo", "check_sdo"} | SDO_PLAN),
        ("sdo/tree.py", {"locate_sdo", "catalogue_sdo", "check_sdo"} | SDO_PLAN),
        ("sdo/plan.py", INDEX),
        ("sdo/index.py", {"index_sdo", "measure_sdo"} | SDO_SECTION | CARD),
        ("sdo/tensors.py", {"tensors_sdo", "measure_sdo"} | SDO_SECTION | CARD),
        ("sdo/report.py", {"report_sdo"} | SDO_SECTION),
        ("sdo/figures.py", SDO_SECTION),
        ("ztf/stamps.py", NIGHT),
        ("ztf/labels.py", LABELS),
        ("ztf/label_lists.py", LABELS),
        ("ztf/label_check.py", CHECK_LABELS),
        ("ztf/matches.py", ZTF_PLAN),
        ("ztf/plan.py", ZTF_PLAN),
        ("ztf/pictures.py", ZTF_SECTION),
        ("ztf/figures.py", ZTF_SECTION),
        ("simulate/stealth.py", SIMULATE_STEALTH),
        ("stealth/schema.py", SIMULATE_STEALTH),
        ("stealth/catalogue.py", STEALTH),
        ("stealth/write.py", {"convert_stealth", "illustrate_stealth"}),
        ("magnetic/parse.py", INGEST),
        ("magnetic/regions.py", REGIONS),
        ("magnetic/splits.py", PLAN),
        ("magnetic/placement.py", PLAN),
        (
            "magnetic/records.py",
            {"write_records", "measure_magnetic", "illustrate_magnetic"} | CARD,
        ),
        ("magnetic/statistics.py", {"measure_magnetic"} | CARD),
        ("cards/texts.py", CARD),
        ("magnetic/missing.py", {"write_records"} | FEATURES),
        ("magnetic/leaks.py", {"check_leaks", "write_records"} | FEATURES),
        ("magnetic/augment.py", AUGMENT),
        ("magnetic/features.py", FEATURES),
        ("magnetic/report.py", {"diagnose_magnetic"}),
        ("magnetic/figures.py", {"illustrate_magnetic"}),
        ("stealth/figures.py", {"illustrate_stealth"}),
        ("report/whole.py", set()),
    ],
)
def test_an_edited_module_reruns_the_stages_that_import_it(declared, module, stages):
    assert declared.after_edit(module) == stages


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("raw/files.py", SIMULATE | SIMULATE_SDO | SIMULATE_STEALTH | SIMULATE_ZTF),
        ("sdo/tensors.py", {"tensors_sdo", "measure_sdo"} | SDO_SECTION | CARD),
        ("stealth/write.py", {"convert_stealth", "illustrate_stealth"}),
        ("ztf/matches.py", ZTF_PLAN),
        ("magnetic/leaks.py", {"check_leaks", "write_records"} | FEATURES),
    ],
)
def test_a_run_after_an_edit_goes_by_what_rules_declare(looked_at, module, stages):
    path = looked_at.path(f"workflow/scripts/skymill/{module}")
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert looked_at.stale() == stages


def test_modules_that_affect_no_product_rerun_nothing(looked_at):
    for module in ("sdo/unpack.py", "raw/http.py", "summary.py"):
        path = looked_at.path(f"workflow/scripts/skymill/{module}")
        path.write_text(path.read_text() + "\nEDITED = True\n")
    assert looked_at.stale() == set()


def test_changed_comments_and_docstrings_rerun_nothing(finished):
    for path in finished.path("workflow/scripts").rglob("*.py"):
        text = path.read_text()
        assert text.startswith('"""')
        path.write_text("# A comment.\n\n" + '"""Other words.\n\n' + text[3:] + "\n\n# The end.\n")
    assert finished.stale() == set()


def test_an_edited_script_reruns_its_rule(finished):
    path = finished.path("workflow/scripts/check_leaks.py")
    path.write_text(path.read_text() + "\nEDITED = True\n")
    assert finished.stale() == {"check_leaks", "write_records"} | FEATURES


def test_files_with_new_times_but_the_same_code_rerun_nothing(finished):
    for path in finished.path("workflow").rglob("*.py"):
        os.utime(path)
    assert finished.stale() == set()


def test_one_more_night_is_read_alone_and_gathered_with_the_others(finished):
    finished.set("ztf: {nights: [20180601, 20180602, 20180607]}")
    more = {"simulate_night"} | NIGHT
    assert finished.stale() == more
    output = finished.run("-n").stdout
    assert "stamps/20180607.parquet" in output
    assert "output: data/preprocessed/ztf/stamps/20180601.parquet" not in output


def test_a_moved_project_writes_its_index_and_files_with_its_checksum_again(finished, tmp_path):
    moved = finished.copy(tmp_path / "moved")
    assert moved.stale() == {"index_sdo"} | CARD
    before = moved.products()
    moved.run("--cores", "2")
    after = moved.products()
    assert {name for name in after if after[name] != before[name]} == {
        *(
            f"data/processed/sdo/{name}_metadata.csv{suffix}"
            for name in ("train", "test")
            for suffix in ("", ".manifest.json")
        ),
        # The checksums of the index.
        *("data/processed/sdo/croissant.json", "data/processed/sdo/README.md.manifest.json"),
        "data/processed/report.html.manifest.json",
    }


def test_a_touched_raw_file_is_read_again(finished):
    os.utime(finished.path("data/sample/raw/solar_flare_2020/train_partition3_data.json"))
    assert finished.stale() == VERIFY
    output = finished.run("-n").stdout
    assert "input: data/sample/raw/solar_flare_2020/train_partition3_data.json" in output
    assert "input: data/sample/raw/solar_flare_2020/train_partition1_data.json" not in output


def test_a_missing_product_is_made_again_and_not_its_inputs(finished):
    finished.path("data/processed/magnetic_diagnostics.md").unlink()
    assert finished.stale() == {"diagnose_magnetic"}


def test_an_undone_change_leaves_nothing_stale(finished):
    path = finished.path("workflow/scripts/skymill/magnetic/plan.py")
    text = path.read_text()
    path.write_text(text + "\nEDITED = True\n")
    assert finished.stale() == PLAN
    path.write_text(text)
    assert finished.stale() == set()


def test_a_raw_file_replaced_by_an_older_one_is_read_again(finished):
    raw = finished.path("data/sample/raw/solar_flare_2020/train_partition3_data.json")
    raw.write_bytes(b"".join(raw.read_bytes().splitlines(keepends=True)[:-1]))
    os.utime(raw, (0, 0))
    assert finished.stale() >= VERIFY


def test_a_sidecar_that_is_added_later_counts(finished):
    sidecar = finished.path(
        "data/sample/raw/solar_flare_2020/train_partition3_data.json.source.json"
    )
    sidecar.write_text('{"source": "local"}')
    os.utime(sidecar, (0, 0))
    assert finished.stale() >= VERIFY


@pytest.mark.parametrize("target", [(), ("data/processed/magnetic_data/dev",)])
def test_a_file_lost_from_a_product_or_its_manifest_is_noticed(finished, target):
    finished.path("data/processed/magnetic_data/dev/part-00000.parquet").unlink()
    assert "write_features" in finished.stale(*target)
    finished.run("--cores", "2", *target)
    assert "write_features" not in finished.stale(*target)
    finished.path("data/processed/magnetic_data/dev.manifest.json").unlink()
    assert "write_features" in finished.stale(*target)
