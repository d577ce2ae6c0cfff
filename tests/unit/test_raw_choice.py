"""The choice of raw files: simulated, fetched, or put there by hand, for each branch."""

import re
from pathlib import Path

import pytest
from records import REPOSITORY, load_config

from skymill import paths
from skymill.engine.errors import SkymillError
from skymill.engine.products import write_document
from skymill.raw.choice import RawFiles, deleted_raw, one_of, refuse_two
from skymill.raw.files import sidecar_path, write_sidecar
from skymill.raw.registry import load_registry

REGISTRY = load_registry(REPOSITORY / "config" / "sources.yaml")
BRANCHES = ("magnetic", "sdo", "stealth", "ztf")
MAGNETIC = [
    f"solar_flare_2020/{name}.json"
    for name in (
        *("train_partition1_data", "train_partition2_data", "train_partition3_data"),
        "test_4_5_data",
    )
]
SWAN = [f"swan_sf/partition{number}_instances.tar.gz" for number in range(1, 6)]
NIGHT = "ztf/ztf_public_20180601.tar.gz"
TARBALL = "ztf/labels/files_for_lc_classifier_SanchezSaez2020.tar.gz"
PREDICTIONS = "ztf/labels/ALeRCE_lc_classifier_outputs_ZTF_unlabeled_set_20200609.csv"
CATALOGUE = "ztf/labels/labeled_set_lc_classifier_SanchezSaez_2020.csv"


class Place:
    """A folder in which Snakemake runs, and its configuration."""

    def __init__(self, root, config):
        self.root = root
        self.config = {**config, "results": "trial"}

    def raw(self, source="local", *, nights=(20180601,), **changes):
        """Return the raw files that a new run finds for the configuration."""
        ztf = {**self.config["ztf"], "nights": nights if isinstance(nights, str) else list(nights)}
        config = {**self.config, "source": source, "ztf": ztf, **changes}
        return RawFiles(config, REGISTRY, self.root)

    def put(self, file, source=None, folder="data/raw"):
        """Put a file into a folder of raw files. A file of the user has no sidecar."""
        path = self.root / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        if source:
            write_sidecar(path, source)
        return path

    def put_folder(self, name, folder="data/raw"):
        """Put a folder with one file among the raw files."""
        self.put(f"{name}/file", folder=folder)

    def have_read(self, name, source="local", raw=None, **content):
        """Write the document that says that a file was read."""
        path = self.root / "trial" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = raw or {"name": path.name}
        write_document(path, {"source": source, "raw": raw, **content})


@pytest.fixture
def place(tmp_path, default_config):
    return Place(tmp_path, default_config)


# --- Where files come from -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "folders"),
    [
        ("sample", ["trial/sample/raw"] * 4),
        ("local", ["data/raw"] * 4),
        ("archive", ["data/raw"] * 4),
        (
            {"default": "sample", "sdo": "local"},
            ["trial/sample/raw", "data/raw"] + 2 * ["trial/sample/raw"],
        ),
        ({"default": "archive", "ztf": "sample"}, 3 * ["data/raw"] + ["trial/sample/raw"]),
    ],
)
def test_each_branch_has_the_folder_of_its_source(place, source, folders):
    raw = place.raw(source)
    assert [raw.folder(branch) for branch in BRANCHES] == folders


def test_each_branch_has_its_source(place):
    raw = place.raw({"default": "archive", "ztf": "sample", "stealth": "local"})
    assert [raw.source(branch) for branch in BRANCHES] == ["archive", "archive", "local", "sample"]


@pytest.mark.parametrize(
    ("file", "branch"),
    [
        (MAGNETIC[0], "magnetic"),
        ("sdobenchmark.zip", "sdo"),
        ("stealth/data.csv", "stealth"),
        (NIGHT, "ztf"),
        ("ztf/ztf_public_20180601_programid3", "ztf"),
        (TARBALL, "ztf"),
        (CATALOGUE, "ztf"),
    ],
)
def test_a_file_is_in_the_folder_of_its_branch(place, file, branch):
    assert place.raw("local").branch(file) == branch
    assert place.raw("local").path(file) == f"data/raw/{file}"
    source = {"default": "local", branch: "sample"}
    assert place.raw(source).path(file) == f"trial/sample/raw/{file}"


@pytest.mark.parametrize(
    ("source", "enforced"),
    [
        ("sample", False),
        ("local", False),
        ("archive", True),
        ({"default": "archive", "ztf": "local"}, False),
        ({"default": "local", "ztf": "archive"}, True),
    ],
)
def test_only_fetched_files_must_have_the_checksum_of_the_registry(place, source, enforced):
    assert place.raw(source).is_enforced(NIGHT) == enforced


@pytest.mark.parametrize(
    ("branch", "key", "small", "large"),
    [
        ("magnetic", "records", 10_000, 10_001),
        ("sdo", "training_samples", 200, 201),
        ("stealth", "rows", 10_000, 10_001),
        ("ztf", "alerts", 2_000, 2_001),
    ],
)
def test_small_simulations_need_no_workers(place, branch, key, small, large):
    def simulating(size, source="sample"):
        simulate = place.config["simulate"]
        sizes = {**simulate, branch: {**simulate[branch], key: size}}
        return place.raw(source, simulate=sizes).is_small(branch)

    assert simulating(small)
    assert not simulating(large)
    assert not simulating(small, source="local")


# --- Patterns ------------------------------------------------------------------------------------


def test_an_empty_list_of_patterns_matches_no_text():
    assert not re.fullmatch(one_of([]), "")
    assert not re.fullmatch(one_of([]), "a")


@pytest.mark.parametrize(
    ("text", "found"), [("a", True), ("bc", True), ("abc", False), ("b", False)]
)
def test_a_list_of_patterns_only_matches_complete_texts(text, found):
    assert bool(re.fullmatch(one_of(["a", "bc"]), text)) == found


@pytest.mark.parametrize(
    "file", [*MAGNETIC, "sdobenchmark.zip", "stealth/data.csv", NIGHT, TARBALL]
)
def test_every_raw_file_has_a_pattern(place, file):
    raw = place.raw()
    assert re.fullmatch(raw.patterns(), file)
    assert not re.fullmatch(raw.patterns(), f"{file}.source.json")
    assert not re.fullmatch(raw.patterns(), f"x{file}")


def is_fetchable(place, file):
    return bool(re.fullmatch(place.raw("archive").fetchable(), file))


FETCHABLE = [*MAGNETIC, "sdobenchmark.zip", "stealth/data.csv", NIGHT, TARBALL, PREDICTIONS]


@pytest.mark.parametrize("file", FETCHABLE)
def test_a_missing_file_may_be_fetched(place, file):
    assert is_fetchable(place, file)


@pytest.mark.parametrize("file", FETCHABLE)
def test_a_file_that_was_fetched_may_be_fetched_again(place, file):
    place.put(file, "archive")
    assert is_fetchable(place, file)


@pytest.mark.parametrize("file", FETCHABLE)
def test_a_file_that_was_put_there_by_hand_is_never_fetched(place, file):
    place.put(file)
    assert not is_fetchable(place, file)
    assert all(is_fetchable(place, other) for other in FETCHABLE if other != file)


def test_a_file_with_a_damaged_sidecar_may_belong_to_the_user(place):
    sidecar_path(place.put(NIGHT, "archive")).write_text("{")
    assert not is_fetchable(place, NIGHT)


def test_files_of_a_local_branch_are_never_fetched_nor_deleted_to_be_fetched(place):
    source = {"default": "archive", "ztf": "local"}
    place.put(NIGHT, "archive")
    for file, is_fetched in ((NIGHT, False), (TARBALL, False), (MAGNETIC[0], True)):
        assert bool(re.fullmatch(place.raw(source).fetchable(), file)) == is_fetched


def test_a_folder_is_never_fetched(place):
    assert not is_fetchable(place, "ztf/ztf_public_20180601")
    place.put_folder("ztf/ztf_public_20180601")
    assert not is_fetchable(place, "ztf/ztf_public_20180601")
    assert is_fetchable(place, NIGHT)


def test_a_file_whose_name_begins_like_a_local_file_may_be_fetched(place):
    place.put(NIGHT)
    assert is_fetchable(place, "ztf/ztf_public_20180601_programid3.tar.gz")


def test_other_files_are_not_fetched(place):
    assert not is_fetchable(place, "ztf/other.tar.gz")
    assert not is_fetchable(place, f"{NIGHT}.source.json")


def test_other_files_next_to_raw_files_are_ignored(place):
    place.put("notes.txt")
    place.put("ztf/notes (1).txt")
    assert all(is_fetchable(place, file) for file in FETCHABLE)


# --- Files of each branch ------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["sample", "local", "archive"])
def test_each_branch_has_its_files(place, source):
    raw = place.raw(source, nights=[20180602, 20180601])
    labels = PREDICTIONS if source == "local" else TARBALL
    if source == "local":
        for night in ("20180601", "20180602"):
            place.put(f"ztf/ztf_public_{night}.tar.gz")
    assert raw.files("magnetic") == MAGNETIC
    assert raw.files("sdo") == ["sdobenchmark.zip"]
    assert raw.files("stealth") == ["stealth/data.csv"]
    assert raw.files("ztf") == [labels, NIGHT, "ztf/ztf_public_20180602.tar.gz"]


# --- Texts that the user gzipped ------------------------------------------------------------------

TABLE = "stealth/data.csv"


@pytest.mark.parametrize("file", [*MAGNETIC, TABLE])
@pytest.mark.parametrize("source", ["local", "archive"])
def test_a_text_is_read_plain_or_gzipped(place, file, source):
    branch = "stealth" if file == TABLE else "magnetic"
    for other in {*MAGNETIC, TABLE} - {file}:
        place.put(other)
    place.put(f"{file}.gz")
    raw = place.raw(source, branches=[branch])
    assert f"{file}.gz" in raw.files(branch)
    assert file not in raw.files(branch)
    assert raw.path(f"{file}.gz") == f"data/raw/{file}.gz"
    assert raw.sidecar(f"{file}.gz") == []
    assert re.fullmatch(raw.patterns(), f"{file}.gz")
    assert not re.fullmatch(raw.fetchable(), f"{file}.gz")
    raw.require()


@pytest.mark.parametrize("file", [*MAGNETIC, TABLE])
@pytest.mark.parametrize("source", ["local", "archive"])
def test_a_text_that_exists_both_plain_and_gzipped_is_refused(place, file, source):
    branch = "stealth" if file == TABLE else "magnetic"
    for each in (*MAGNETIC, TABLE, f"{file}.gz"):
        place.put(each)
    with pytest.raises(SkymillError) as caught:
        place.raw(source, branches=[branch]).require()
    assert f"data/raw/{file} or data/raw/{file}.gz: both are there" in str(caught.value)
    other = "magnetic" if branch == "stealth" else "stealth"
    place.raw(source, branches=[other]).require()
    place.raw("sample", branches=[branch]).require()


def test_a_gzipped_text_may_be_deleted_after_it_was_read(place):
    place.have_read(f"interim/raw/{MAGNETIC[1]}.gz.receipt.json")
    place.put(MAGNETIC[0])
    raw = place.raw(branches=["magnetic"])
    assert raw.files("magnetic") == [MAGNETIC[0], f"{MAGNETIC[1]}.gz"]
    raw.require()
    # Fetched files have their published names. A simulated file does not count as a user's file.
    assert place.raw("archive").magnetic("train_partition2_data") == MAGNETIC[1]
    place.have_read(f"interim/raw/{MAGNETIC[1]}.receipt.json", "sample")
    assert place.raw().magnetic("train_partition2_data") == f"{MAGNETIC[1]}.gz"


def test_two_files_for_one_input_are_refused_and_one_file_is_accepted():
    refuse_two("the night", ["a"])
    refuse_two("the night", [])
    with pytest.raises(SkymillError, match=r"^the night could be a or b: both are there\. Keep "):
        refuse_two("the night", ["a", "b"])


# --- Existing magnetic files ---------------------------------------------------------------------


@pytest.mark.parametrize("there", [[0], [1, 2], [0, 1, 2], [0, 3], [0, 1, 2, 3]])
def test_the_magnetic_branch_reads_the_existing_files(place, there):
    for number in there:
        place.put(MAGNETIC[number])
    raw = place.raw(branches=["magnetic"])
    raw.require()
    assert raw.files("magnetic") == [MAGNETIC[number] for number in there]
    assert raw.partitions == tuple(Path(MAGNETIC[number]).stem for number in there)
    absent = [Path(file).name for n, file in enumerate(MAGNETIC) if n not in there]
    assert len(raw.absent_partitions) == len(absent)
    if absent:
        end = ": no holdout_test." if 3 not in there else "."
        assert raw.partition_absence() == (
            f"The magnetic branch runs without {', '.join(absent)}, not found in "
            f"data/raw/solar_flare_2020{end}"
        )


def test_the_message_on_a_missing_file_names_a_file_under_another_name(place):
    place.put(MAGNETIC[0])
    place.put("solar_flare_2020/test_4_5_data.json.zip")
    said = place.raw(branches=["magnetic"]).partition_absence()
    assert place.raw(branches=["magnetic"]).absences() == [said]
    assert place.raw(branches=["stealth"]).absences() == []
    assert ": no holdout_test. Not read: test_4_5_data.json.zip (use the published names" in said


@pytest.mark.parametrize("there", [[], [3]])
def test_without_a_training_file_there_is_no_magnetic_branch(place, there):
    for number in there:
        place.put(MAGNETIC[number])
    absent = [file for number, file in enumerate(MAGNETIC) if number not in there]
    assert missing(place.raw(branches=["magnetic"])) == [
        f"data/raw/{file} (magnetic branch)" for file in absent
    ]


@pytest.mark.parametrize("source", ["sample", "archive"])
def test_all_simulated_or_fetched_magnetic_files_are_read(place, source):
    place.put(MAGNETIC[0])
    raw = place.raw(source)
    assert raw.absent_partitions == ()
    assert raw.files("magnetic") == MAGNETIC


def test_a_magnetic_file_may_be_deleted_after_it_was_read(place):
    place.put(MAGNETIC[0])
    place.have_read(f"interim/raw/{MAGNETIC[3]}.receipt.json")
    place.have_read(f"interim/raw/{MAGNETIC[1]}.receipt.json", "sample")
    assert place.raw().files("magnetic") == [MAGNETIC[0], MAGNETIC[3]]


def test_a_split_cannot_be_made_of_a_missing_file(place):
    for number in (0, 1):
        place.put(MAGNETIC[number])
    split = {**place.config["split"], "unit": "partition"}
    with pytest.raises(
        SkymillError, match=r"names train_partition3_data, but there is no data/raw"
    ):
        place.raw(branches=["magnetic"], split=split).require()
    two = {"train_partition1_data": "train", "train_partition2_data": "test"}
    place.raw(branches=["magnetic"], split={**split, "partitions": two}).require()
    # Other split units do not read `partitions`.
    place.raw(branches=["magnetic"]).require()
    place.raw("sample", branches=["magnetic"], split=split).require()


# --- SDOBenchmark --------------------------------------------------------------------------------


def tree(place, folder="data/raw", *, manifest=False, archive=False):
    """Put an unpacked tree into the folder, with the manifest of unpacking, and with its zip."""
    place.put_folder("sdo", folder)
    if manifest:
        write_document(place.root / folder / "sdo.manifest.json", {"source": "local"})
    if archive:
        place.put("sdobenchmark.zip", folder=folder)


@pytest.mark.parametrize(
    ("source", "there", "from_zip"),
    [
        ("sample", None, True),
        ("sample", {}, True),
        ("local", None, True),
        ("archive", None, True),
        ("local", {}, False),
        ("archive", {}, False),
        ("local", {"archive": True}, False),
        ("archive", {"archive": True}, False),
        ("local", {"manifest": True}, False),
        ("archive", {"manifest": True}, True),
        ("local", {"manifest": True, "archive": True}, True),
        ("archive", {"manifest": True, "archive": True}, True),
    ],
)
def test_a_tree_is_unpacked_from_its_zip_unless_the_user_put_it_there(
    place, source, there, from_zip
):
    if there is not None:
        tree(place, "trial/sample/raw" if source == "sample" else "data/raw", **there)
    raw = place.raw(source)
    assert raw.sdo_from_zip == from_zip
    assert raw.files("sdo") == (["sdobenchmark.zip"] if from_zip else [])


def test_an_unpacked_tree_stays_the_tree_of_its_zip_when_the_zip_is_deleted(place):
    tree(place, "data/raw", manifest=True)
    place.have_read("interim/raw/sdobenchmark.zip.receipt.json")
    assert place.raw("local").sdo_from_zip


@pytest.mark.parametrize(
    ("source", "file", "gone"),
    [
        ("local", NIGHT, True),
        ("local", "ztf/my_alerts", True),
        ("archive", NIGHT, False),
        ("archive", "ztf/labels/mine.csv", True),
        ("local", "sdobenchmark.zip", True),
        ({"default": "local", "ztf": "archive"}, NIGHT, False),
    ],
)
def test_a_missing_file_that_no_rule_makes_is_gone(place, source, file, gone):
    path = f"data/raw/{file}"
    assert not place.raw("sample").is_gone(f"trial/sample/raw/{file}")
    assert place.raw(source).is_gone(path) == gone
    place.put(file)
    assert not place.raw(source).is_gone(path)
    assert place.raw(source).is_gone("/elsewhere/list.csv")


def test_products_of_deleted_raw_files_are_named_with_reason_and_file():
    deleted = {"a": "data/raw/a", "b": "data/raw/b", "c": "data/raw/c"}
    message = deleted_raw({"c", "a", "other"}, deleted, {"a": "it was made with other settings"})
    assert message.splitlines()[1:] == [
        "  a: it was made with other settings. Deleted: data/raw/a",
        "  c: forced, missing, or made from products that change. Deleted: data/raw/c",
    ]
    assert deleted_raw({"other"}, deleted, {}) is None


def test_a_deleted_list_of_labels_keeps_the_name_under_which_it_was_read(place):
    for name in (TARBALL, f"{PREDICTIONS}.gz", PREDICTIONS):
        place.have_read(f"{paths.ZTF_LABELS}.manifest.json", raw={"name": f"raw:{name}"})
        raw = labelled(place, "local")
        assert raw.labels == name
        place.put(NIGHT)
        raw.require()


@pytest.mark.parametrize(
    ("source", "folder"), [("sample", "trial/sample/raw/sdo"), ("local", "data/raw/sdo")]
)
def test_the_tree_is_next_to_its_zip(place, source, folder, monkeypatch):
    monkeypatch.chdir(place.root)
    raw = place.raw(source)
    assert raw.sdo_folder == folder
    assert raw.sdo_location(None) == {"root": str(place.root), "tree": folder}
    assert raw.sdo_location("s3://bucket/project") == {
        "root": "s3://bucket/project",
        "tree": folder,
    }


# --- ZTF: nights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["sample", "archive"])
def test_all_simulated_or_fetched_nights_are_read(place, source):
    raw = place.raw(source, nights=["20180603..20180605", 20180601, "20180602_programid3"])
    assert raw.nights == ["20180601", "20180602_programid3", "20180603", "20180604", "20180605"]
    assert raw.absent_nights == []


def test_existing_nights_of_a_range_of_local_nights_are_read(place):
    place.put("ztf/ztf_public_20180602.tar.gz")
    place.put_folder("ztf/ztf_public_20180604")
    raw = place.raw(nights="20180601..20180605")
    assert raw.nights == ["20180602", "20180604"]
    assert raw.absent_nights == ["20180601", "20180603", "20180605"]
    assert raw.absence() == (
        "Days of ztf.nights left out, because data/raw/ztf has no file for them: "
        "20180601, 20180603, 20180605."
    )


def test_local_nights_that_are_named_are_expected_even_if_missing(place):
    raw = place.raw(nights=[20180601, "20180602..20180603"])
    assert raw.nights == ["20180601"]
    assert raw.absent_nights == ["20180602", "20180603"]


@pytest.mark.parametrize(
    ("source", "read"), [("local", True), ("archive", True), ("sample", False)]
)
def test_a_night_of_a_range_may_be_deleted_after_it_was_read(place, source, read):
    place.have_read("preprocessed/ztf/stamps/20180602.parquet.manifest.json", source)
    raw = place.raw(nights="20180601..20180603")
    assert raw.nights == (["20180602"] if read else [])


def test_wrong_nights_are_refused(place):
    with pytest.raises(SkymillError, match="names night 20180601, like"):
        _ = place.raw(nights=[20180601, 20180601]).nights


def test_a_night_is_a_tarball_or_an_unpacked_folder(place):
    assert place.raw().night("20180601") == NIGHT
    place.put_folder("ztf/ztf_public_20180601")
    raw = place.raw()
    assert raw.night("20180601") == "ztf/ztf_public_20180601"
    assert raw.night("20180602") == "ztf/ztf_public_20180602.tar.gz"
    assert raw.files("ztf")[1:] == ["ztf/ztf_public_20180601"]
    place.put("ztf/ztf_public_20180602.tar.gz")
    assert place.raw().night("20180602") == "ztf/ztf_public_20180602.tar.gz"


@pytest.mark.parametrize("source", ["local", "archive"])
def test_a_tarball_next_to_its_folder_is_refused_and_both_are_named(place, source):
    place.put(NIGHT)
    # If unpacking is interrupted, the folder contains only a part of the night.
    place.put_folder("ztf/ztf_public_20180601")
    raw = place.raw(source, branches=["ztf"], nights=[20180601])
    both = "data/raw/ztf/ztf_public_20180601.tar.gz and data/raw/ztf/ztf_public_20180601 may"
    with pytest.raises(SkymillError, match=both):
        raw.require()


OWN = ["ztf/ztf_public_my_alerts.tar.gz", "ztf/my_alerts.tar.gz"]
OWN_FOLDERS = ["ztf/ztf_public_my_alerts", "ztf/my_alerts"]


@pytest.mark.parametrize("file", [*OWN, *OWN_FOLDERS])
def test_a_night_with_a_users_name_is_a_tarball_or_a_folder(place, file):
    (place.put if file in OWN else place.put_folder)(file)
    place.put(PREDICTIONS)
    raw = place.raw(branches=["ztf"], nights=["my_alerts"])
    assert raw.nights == ["my_alerts"]
    assert raw.files("ztf")[1:] == [file]
    assert raw.branch(file) == "ztf"
    assert raw.record(file) == "preprocessed/ztf/stamps/my_alerts.parquet.manifest.json"
    assert not is_fetchable(place, file)
    raw.require()


def test_two_files_of_a_night_with_a_users_name_are_refused(place):
    for file in OWN:
        place.put(file)
    with pytest.raises(SkymillError, match=f"{OWN[0]} and data/raw/{OWN[1]} may each"):
        place.raw().night("my_alerts")


@pytest.mark.parametrize("file", [*OWN, *OWN_FOLDERS])
def test_a_night_with_a_users_name_may_be_deleted_after_it_was_read(place, file):
    name = "preprocessed/ztf/stamps/my_alerts.parquet.manifest.json"
    place.have_read(name, raw={"name": f"raw:{file}"})
    assert place.raw(nights=["my_alerts"]).files("ztf")[1:] == [file]


@pytest.mark.parametrize("source", ["sample", "archive"])
def test_only_local_nights_may_have_names_given_by_the_user(place, source):
    with pytest.raises(SkymillError, match="my_alerts is not a night of the archive"):
        _ = place.raw(source, nights=["my_alerts", 20180601]).nights


def test_folders_of_real_nights_do_not_affect_simulated_nights(place):
    place.put_folder("ztf/ztf_public_20180601")
    assert place.raw("sample").night("20180601") == NIGHT


# --- ZTF: labels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", ["predictions", "catalogue"])
def test_simulated_labels_are_in_a_tarball_like_the_published_one(place, listed):
    labels = {**place.config["labels"], "source": listed}
    assert place.raw("sample", labels=labels).labels == TARBALL


def labelled(place, source="local", /, **settings):
    """Return the raw files of a configuration with other settings of the labels."""
    return place.raw(source, labels={**place.config["labels"], **settings}, branches=["ztf"])


@pytest.mark.parametrize("source", ["local", "archive"])
@pytest.mark.parametrize(
    ("listed", "file"), [("predictions", PREDICTIONS), ("catalogue", CATALOGUE)]
)
@pytest.mark.parametrize("gzipped", ["", ".gz"])
def test_real_labels_are_the_existing_file_or_tarball(place, source, listed, file, gzipped):
    # The tarball contains the other list too, so no file is downloaded twice.
    raw = labelled(place, source, source=listed)
    assert raw.labels == (file if source == "local" else TARBALL)
    place.put(f"{file}{gzipped}")
    raw = labelled(place, source, source=listed)
    assert raw.labels == f"{file}{gzipped}"
    assert raw.labels_path == f"data/raw/{file}{gzipped}"
    (place.root / raw.labels_path).unlink()
    place.put(TARBALL)
    assert labelled(place, source, source=listed).labels == TARBALL


@pytest.mark.parametrize("source", ["local", "archive"])
@pytest.mark.parametrize(
    "files",
    [(TARBALL, PREDICTIONS), (TARBALL, f"{PREDICTIONS}.gz"), (PREDICTIONS, f"{PREDICTIONS}.gz")],
)
def test_two_lists_of_labels_are_refused_unless_one_is_named(place, source, files):
    for file in files:
        place.put(file)
    with pytest.raises(SkymillError) as caught:
        labelled(place, source).require()
    assert all(f"data/raw/{file}" in str(caught.value) for file in files)
    for file in files:
        raw = labelled(place, source, file=f"data/raw/{file}")
        assert raw.labels is None
        assert raw.labels_path == f"data/raw/{file}"
        assert raw.labels_sidecar == []


def test_a_users_list_next_to_the_downloaded_tarball_is_refused(place):
    place.put(TARBALL, "archive")
    place.put(PREDICTIONS)
    with pytest.raises(SkymillError, match="both are there"):
        _ = labelled(place, "archive").labels
    # With another source there is only one list.
    assert labelled(place, "archive", source="catalogue").labels == TARBALL


def test_a_list_that_was_downloaded_separately_is_no_second_list(place):
    for file in (TARBALL, PREDICTIONS):
        place.put(file, "archive")
    assert labelled(place, "archive").labels == TARBALL


def test_a_users_list_may_be_in_any_folder(place, tmp_path):
    for source in ("sample", "local", "archive"):
        place.put(NIGHT)
        raw = labelled(place, source, file="lists/own.csv")
        assert (raw.labels, raw.labels_path) == (None, "lists/own.csv")
        assert not raw.enforces_labels
        with pytest.raises(SkymillError, match=r"labels\.file: there is no file lists/own\.csv"):
            raw.require()
        place.put("own.csv", folder="lists")
        labelled(place, source, file="lists/own.csv").require()
        (place.root / "lists" / "own.csv").unlink()


def test_a_users_list_may_be_deleted_after_it_was_read(place):
    place.put(NIGHT)
    manifest = "preprocessed/ztf/labels.parquet.manifest.json"
    place.have_read(manifest, raw={"name": "file:/elsewhere/own.csv"})
    labelled(place, file="/elsewhere/own.csv").require()
    for file in ("/elsewhere/other.csv", "/other/own.csv", "own.csv", "data/raw/own.csv"):
        with pytest.raises(SkymillError, match=r"labels\.file"):
            labelled(place, file=file).require()


def test_published_labels_must_have_the_checksum_of_the_registry(place):
    assert labelled(place, "archive").enforces_labels
    assert not labelled(place, "local").enforces_labels
    place.put(f"{PREDICTIONS}.gz")
    assert not labelled(place, "archive").enforces_labels


# --- Files that the user must provide ------------------------------------------------------------


def missing(raw):
    """Return the missing files in the message, with their branches."""
    with pytest.raises(SkymillError) as caught:
        raw.require()
    text = str(caught.value)
    few = re.fullmatch(r"source: local, but (.+) is not there\. Put the file there .*", text)
    if few:
        return few[1].split(", ")
    # A long list has a line for each file.
    many = r"source: local, but these files are not there:\n(.*)\nPut them there .*"
    return re.fullmatch(many, text, re.DOTALL)[1].strip().split("\n  ")


@pytest.mark.parametrize("source", ["sample", "archive"])
def test_simulated_and_fetched_files_need_not_exist(place, source):
    place.raw(source, nights="20180601..20180603").require()


def test_each_missing_file_is_named_with_its_branch(place):
    everything = [
        *(f"data/raw/{file} (magnetic branch)" for file in MAGNETIC),
        "data/raw/sdobenchmark.zip (sdo branch)",
        *(f"data/raw/{file} (aligned branch)" for file in SWAN),
        "data/raw/stealth/data.csv (stealth branch)",
        f"data/raw/{PREDICTIONS} (ztf branch)",
        f"data/raw/{NIGHT} (ztf branch)",
    ]
    # The message lists only ten files.
    assert missing(place.raw()) == [*everything[:10], f"and {len(everything) - 10} more"]
    two = missing(place.raw(branches=["stealth", "sdo"]))
    assert sorted(two) == sorted(line for line in everything if "(s" in line)


def test_existing_files_are_enough(place):
    files = (*MAGNETIC, "sdobenchmark.zip", *SWAN, "stealth/data.csv", PREDICTIONS, NIGHT)
    for file in files:
        place.put(file)
    place.raw().require()


def test_an_unpacked_tree_and_an_unpacked_night_are_enough(place):
    tree(place)
    place.put(TARBALL)
    place.put_folder("ztf/ztf_public_20180601")
    place.raw(branches=["sdo", "ztf"]).require()


def test_only_branches_that_are_on_and_local_need_their_files(place):
    place.raw(branches=[]).require()
    source = {"default": "sample", "stealth": "local"}
    assert missing(place.raw(source)) == ["data/raw/stealth/data.csv (stealth branch)"]
    place.raw(source, branches=["magnetic", "sdo", "ztf"]).require()


def test_named_nights_must_exist_and_nights_of_ranges_need_not(place):
    place.put(PREDICTIONS)
    place.put(NIGHT)
    raw = place.raw(branches=["ztf"], nights=["20180601..20180603", 20180604])
    assert missing(raw) == ["data/raw/ztf/ztf_public_20180604.tar.gz (ztf branch)"]
    place.put("ztf/ztf_public_20180604.tar.gz")
    place.raw(branches=["ztf"], nights=["20180601..20180603", 20180604]).require()


def test_at_least_one_night_of_a_range_must_exist(place):
    place.put(PREDICTIONS)
    raw = place.raw(branches=["ztf"], nights="20180601..20180603")
    with pytest.raises(SkymillError) as caught:
        raw.require()
    assert str(caught.value) == (
        "source: local, but none of the nights 20180601..20180603 of ztf.nights is in "
        "data/raw/ztf. Put their tarballs there, named as in the archive "
        "(ztf_public_20180601.tar.gz)."
    )
    place.raw(branches=["sdo"], source="archive", nights="20180601..20180603").require()


RECEIPT = "interim/raw/stealth/data.csv.receipt.json"


def test_a_local_file_may_only_be_deleted_after_it_was_read(place):
    said = ["data/raw/stealth/data.csv (stealth branch)"]
    assert missing(place.raw(branches=["stealth"])) == said
    place.have_read(RECEIPT, "sample")
    assert missing(place.raw(branches=["stealth"])) == said
    place.have_read(RECEIPT, "archive")
    place.raw(branches=["stealth"]).require()
    place.have_read(RECEIPT, "local")
    place.raw(branches=["stealth"]).require()


@pytest.mark.parametrize(
    "file",
    [
        *(MAGNETIC[0], f"{MAGNETIC[1]}.gz", "sdobenchmark.zip", SWAN[0]),
        *("stealth/data.csv", "stealth/data.csv.gz", NIGHT),
    ],
)
@pytest.mark.parametrize("content", [None, b"{"])
def test_a_file_counts_as_read_if_a_later_document_names_its_damaged_record(place, file, content):
    """`skymill verify --repair` deletes damaged records."""
    raw = place.raw()
    assert raw._is_missing(file)
    place.have_read(raw.later(file), inputs={"another": "1"})
    assert raw._is_missing(file)
    place.have_read(raw.later(file), "sample", inputs={raw.record(file): "1"})
    assert raw._is_missing(file)
    place.have_read(raw.later(file), inputs={raw.record(file): "1"})
    if content is not None:
        place.have_read(raw.record(file))
        (place.root / "trial" / raw.record(file)).write_bytes(content)
    assert not raw._is_missing(file)
    other = file.removesuffix(".gz") if file.endswith(".gz") else f"{file}.gz"
    if file.startswith(("stealth", "solar")):
        assert raw._is_missing(other)


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_a_damaged_receipt_does_not_count(place, content):
    place.have_read(RECEIPT)
    (place.root / "trial" / RECEIPT).write_bytes(content)
    assert missing(place.raw(branches=["stealth"])) != []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (MAGNETIC[0], f"interim/raw/{MAGNETIC[0]}.receipt.json"),
        ("sdobenchmark.zip", "interim/raw/sdobenchmark.zip.receipt.json"),
        (SWAN[1], "interim/swan_sf/partition2/steps.parquet.manifest.json"),
        (NIGHT, "preprocessed/ztf/stamps/20180601.parquet.manifest.json"),
        ("ztf/ztf_public_20180601", "preprocessed/ztf/stamps/20180601.parquet.manifest.json"),
        (
            "ztf/ztf_public_20180601_programid3.tar.gz",
            "preprocessed/ztf/stamps/20180601_programid3.parquet.manifest.json",
        ),
    ],
)
def test_a_file_has_a_receipt_or_the_manifest_of_what_was_read_from_it(place, file, name):
    assert place.raw().record(file) == name


def test_files_are_searched_from_the_folder_in_which_snakemake_runs(place, monkeypatch):
    place.put("stealth/data.csv")
    monkeypatch.chdir(place.root)
    config = {**place.config, "source": "local", "branches": ["stealth"]}
    RawFiles(config, REGISTRY).require()
    assert Path(RawFiles(config, REGISTRY).path(paths.STEALTH_FILE)).exists()


# --- SWAN-SF -------------------------------------------------------------------------------------


def test_the_aligned_branch_reads_swan_sf(place):
    raw = place.raw("archive")
    assert raw.files("aligned") == SWAN
    assert raw.branch(SWAN[0]) == "swan_sf"
    assert raw.path(SWAN[0]) == f"data/raw/{SWAN[0]}"
    assert raw.sidecar(SWAN[0]) == [f"data/raw/{SWAN[0]}.source.json"]
    assert all(is_fetchable(place, file) for file in SWAN)
    source = {"default": "local", "swan_sf": "sample"}
    assert place.raw(source).path(SWAN[0]) == f"trial/sample/raw/{SWAN[0]}"
    assert place.raw(source).swan_partitions == [f"partition{number}" for number in range(1, 6)]


def test_the_aligned_branch_runs_with_the_existing_partitions(place):
    for file in (SWAN[0], SWAN[3]):
        place.put(file)
    raw = place.raw(branches=["aligned"])
    raw.require()
    assert raw.swan_partitions == ["partition1", "partition4"]
    assert raw.files("aligned") == [SWAN[0], SWAN[3]]
    assert raw.swan_absence() == (
        "The aligned branch runs without partition2_instances.tar.gz, "
        "partition3_instances.tar.gz, partition5_instances.tar.gz, not found in data/raw/swan_sf."
    )


def test_a_partition_may_be_deleted_after_it_was_read(place):
    place.put(SWAN[0])
    place.have_read(place.raw().record(SWAN[1]))
    assert place.raw(branches=["aligned"]).swan_partitions == ["partition1", "partition2"]


def test_without_any_partition_all_partitions_are_requested(place):
    said = [f"data/raw/{file} (aligned branch)" for file in SWAN]
    assert missing(place.raw(branches=["aligned"])) == said


@pytest.fixture(name="swan")
def _swan(tmp_path):
    return Place(tmp_path, load_config("config.yaml", magnetic_input="swan_sf"))


@pytest.mark.parametrize("source", ["sample", "archive"])
def test_with_swan_sf_the_magnetic_branch_reads_no_file_of_2020(swan, source):
    raw = swan.raw(source, branches=["magnetic"])
    raw.require()
    assert raw.files("magnetic") == SWAN
    assert raw.partitions == tuple(f"partition{number}" for number in range(1, 6))
    assert raw.source("magnetic") == source
    assert raw.is_small("magnetic") == (source == "sample")


def test_a_partition_missing_in_both_branches_is_named_once(swan):
    for file in SWAN[1:]:
        swan.put(file)
    raw = swan.raw(branches=["magnetic", "aligned"])
    raw.require()
    assert raw.partitions == tuple(f"partition{number}" for number in range(2, 6))
    assert raw.absences() == [
        "The magnetic and the aligned branch run without partition1_instances.tar.gz, not found in "
        "data/raw/swan_sf."
    ]
    raw = swan.raw(branches=["magnetic"])
    assert raw.absences()[0].startswith("The magnetic branch runs without partition1_")


def test_without_any_partition_the_magnetic_branch_requests_all_partitions(swan):
    said = [f"data/raw/{file} (magnetic branch)" for file in SWAN]
    assert missing(swan.raw(branches=["magnetic"])) == said


@pytest.mark.parametrize(("name", "file"), [("swan", SWAN[2]), ("place", MAGNETIC[2])])
def test_a_file_that_is_in_no_split_is_not_read(request, name, file):
    here = request.getfixturevalue(name)
    left_out = Path(file).name.removesuffix("_instances.tar.gz").removesuffix(".json")
    split = here.config["split"]
    some = {own: to for own, to in split["partitions"].items() if own != left_out}
    split = {**split, "unit": "partition", "partitions": some}
    raw = here.raw("sample", branches=["magnetic"], split=split)
    raw.require()
    assert file not in raw.files("magnetic")
    assert set(raw.partitions) >= set(some)
    # Folds use all files, and other split units do not read `partitions`.
    for other in ({"folds": 5}, {"unit": "region"}):
        assert left_out in here.raw("sample", split={**split, **other}).partitions


def test_a_split_cannot_be_made_of_a_missing_partition(swan):
    for file in SWAN[:2]:
        swan.put(file)
    split = {**swan.config["split"], "unit": "partition"}
    with pytest.raises(SkymillError, match=r"names partition3, but there is no data/raw/swan_sf/"):
        swan.raw(branches=["magnetic"], split=split).require()
    two = {"partition1": "train", "partition2": "test"}
    raw = swan.raw(branches=["magnetic"], split={**split, "partitions": two})
    raw.require()
    assert raw.files("magnetic") == SWAN[:2]


@pytest.mark.parametrize(("records", "small"), [(10_000, True), (10_001, False)])
def test_simulated_swan_sf_has_the_size_of_the_magnetic_files(place, records, small):
    simulate = place.config["simulate"]
    sizes = {**simulate, "magnetic": {**simulate["magnetic"], "records": records}}
    assert place.raw("sample", simulate=sizes).is_small("aligned") == small
