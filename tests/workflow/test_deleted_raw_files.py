"""Raw files that the user deleted after they were read: products stay, but their checks go on."""

import shutil

import pytest

from projects import ONE_THREAD, Kept, said

NIGHT = "data/raw/ztf/my_alerts"
LIST = "lists/mine.csv.gz"
MAGNETIC = "data/raw/solar_flare_2020/train_partition2_data.json"
STEALTH = "data/raw/stealth/data.csv"
STAMPS = "data/preprocessed/ztf/stamps/my_alerts.parquet"
LABELS = "data/preprocessed/ztf/labels.parquet"
VALUES = "data/interim/solar_flare_2020/values/train_partition2_data"
ROWS = "data/interim/stealth/rows.parquet"
RECEIPT = "data/interim/raw/solar_flare_2020/train_partition2_data.json.receipt.json"
TARGETS = ("stealth", "ztf", VALUES)


@pytest.fixture(scope="module", name="kept")
def _kept(made_once, tmp_path_factory):
    made = made_once("finished")
    project = made.copy(tmp_path_factory.mktemp("deleted") / "project")
    raw, own = project.path("data/sample/raw"), project.path("data/raw")
    shutil.rmtree(project.path("data/interim"))
    shutil.rmtree(project.path("data/preprocessed"))
    shutil.rmtree(project.path("data/processed"))
    for sidecar in raw.rglob("*.source.json"):
        sidecar.unlink()
    raw.rename(own)
    night = own / "ztf/ztf_public_20180601.tar.gz"
    shutil.unpack_archive(night, project.path(NIGHT), filter="data")
    project.path("lists").mkdir()
    shutil.unpack_archive(next((own / "ztf/labels").glob("*.tar.gz")), own / "ztf", filter="data")
    (first,) = (path for path in (own / "ztf").rglob("*outputs*.csv*"))
    first.rename(project.path(LIST if first.suffix == ".gz" else LIST.removesuffix(".gz")))
    (mine,) = project.path("lists").iterdir()
    project.set(
        "{branches: [magnetic, stealth, ztf], source: local, "
        f"ztf: {{nights: [my_alerts]}}, labels: {{file: lists/{mine.name}}}}}"
    )
    project.run("--cores", "2", *ONE_THREAD, *TARGETS)
    return Kept(project)


@pytest.fixture
def project(kept):
    """Return a project with everything made of local raw files."""
    return kept.put_back()


def delete(project, name):
    """Delete a raw file or folder."""
    found = list(project.path(name).parent.glob(f"{project.path(name).name.split('.')[0]}*"))
    assert found, name
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_file_that_comes_and_goes_in_a_folder_of_alerts_changes_nothing(project):
    note = project.path(f"{NIGHT}/note")
    note.touch()
    note.unlink()
    assert project.stale(*TARGETS) == set()


def test_without_a_change_nothing_runs(project):
    for raw in (NIGHT, LIST, MAGNETIC, STEALTH):
        delete(project, raw)
    assert project.stale(*TARGETS) == set()
    # Also if the product of a raw file is the target itself.
    assert project.stale(LABELS, STAMPS, ROWS, RECEIPT) == set()


def cut(project, product):
    """Cut a file of a product."""
    path = project.path(product)
    path = next(path.glob("*.parquet")) if path.is_dir() else path
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:100])


def empty_manifest(project, product):
    """Empty the manifest of a product."""
    project.path(f"{product}.manifest.json").unlink()
    project.path(f"{product}.manifest.json").touch()


def lose(project, product):
    """Delete the manifest of a product, as `skymill verify --repair` does."""
    project.path(f"{product}.manifest.json").unlink()


def edit(script):
    """Return a change of the code of a rule."""

    def change(project, product):
        path = project.path(f"workflow/scripts/{script}")
        text = path.read_text()
        path.unlink()
        path.write_text(f"{text}\nEDITED = True\n")

    return change


def settings(text):
    """Return a change of settings."""
    return lambda project, product: project.set(text)


@pytest.mark.parametrize(
    ("raw", "product", "change"),
    [
        (NIGHT, STAMPS, settings("ztf: {crop: 63}")),
        (NIGHT, STAMPS, edit("extract_night.py")),
        (NIGHT, STAMPS, cut),
        (NIGHT, STAMPS, empty_manifest),
        (NIGHT, STAMPS, lose),
        (LIST, LABELS, settings("labels: {map: {AGN: QSO}}")),
        (LIST, LABELS, cut),
        (MAGNETIC, VALUES, cut),
        (MAGNETIC, VALUES, empty_manifest),
        (MAGNETIC, VALUES, edit("ingest_magnetic.py")),
        (STEALTH, ROWS, cut),
        (STEALTH, ROWS, edit("ingest_stealth.py")),
    ],
)
def test_a_product_that_must_be_made_from_a_deleted_file_stops_the_run(
    project, raw, product, change
):
    delete(project, raw)
    change(project, product)
    text = said(project.run("-n", *TARGETS, succeeds=False))
    assert "from raw files that you deleted" in text
    named = [line for line in text.splitlines() if f"  {product}: " in line]
    assert len(named) == 1, text
    assert f"Deleted: {raw.split('.')[0]}" in named[0]
    assert "retrieve" not in text


def test_a_run_stops_before_it_deletes_anything_and_goes_on_with_the_file(project):
    away = project.path("away")
    project.path(NIGHT).rename(away)
    before = project.products()
    project.set("ztf: {crop: 63}")
    text = said(project.run("--cores", "1", *TARGETS, succeeds=False))
    assert f"  {STAMPS}: it was made with other settings. Deleted: {NIGHT}" in text
    assert project.products() == before
    assert not project.path("data/.lock").exists()
    away.rename(project.path(NIGHT))
    assert "extract_night" in project.stale(*TARGETS)


def test_a_changed_list_needs_the_nights_that_only_have_labelled_alerts(project):
    project.set("ztf: {extract: labelled}")
    project.run("--cores", "2", *ONE_THREAD, "ztf")
    delete(project, NIGHT)
    assert project.stale("ztf") == set()
    (path,) = project.path("lists").iterdir()
    half = path.read_bytes()
    half = half[: half.index(b"\n", len(half) // 2) + 1]
    path.unlink()
    path.write_bytes(half)
    text = said(project.run("-n", "ztf", succeeds=False))
    assert (
        f"  {STAMPS}: forced, missing, or made from products that change. Deleted: {NIGHT}" in text
    )


def test_the_receipt_of_a_deleted_file_is_not_made_by_a_download(project):
    delete(project, MAGNETIC)
    project.path(RECEIPT).unlink()
    text = said(project.run("-n", *TARGETS, succeeds=False))
    assert f"Deleted: {MAGNETIC}" in text
    assert "retrieve" not in text


CATALOGUE = "data/interim/sdo/samples.parquet"


def test_an_unpacked_tree_stays_without_its_zip_and_its_products_stay_without_the_tree(project):
    tree, archive = project.path("data/raw/sdo"), project.path("data/raw/sdobenchmark.zip")
    shutil.rmtree(tree)
    project.path("data/raw/sdo.manifest.json").unlink()
    project.set("branches: [sdo]")
    project.run("--cores", "2", *ONE_THREAD)
    assert project.stale() == set()
    # A file that comes and goes changes the time of the folder.
    (tree / "note").touch()
    (tree / "note").unlink()
    assert project.stale() == set()
    archive.unlink()
    assert project.stale() == set()
    shutil.rmtree(tree)
    rules, text = project.look()
    assert (rules, "no longer made" in text) == (set(), False)
    edit("catalogue_sdo.py")(project, CATALOGUE)
    text = said(project.run("-n", CATALOGUE, succeeds=False))
    assert "  data/raw/sdo: " in text
    assert "Deleted: data/raw/sdobenchmark.zip" in text
    assert "retrieve" not in text


def test_files_that_only_a_branch_that_is_off_would_lack_end_no_command(project):
    for number in (2, 3):
        project.path(f"data/raw/solar_flare_2020/train_partition{number}_data.json").unlink()
    project.set(
        "{branches: [stealth], split: {unit: partition, partitions: {train_partition1_data: null}}}"
    )
    shutil.rmtree(project.path("data/interim/solar_flare_2020"))
    shutil.rmtree(project.path("data/interim/raw/solar_flare_2020"))
    assert project.stale("stealth") == set()
