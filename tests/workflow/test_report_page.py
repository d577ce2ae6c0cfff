"""The report follows what it tells, and nothing else follows it."""

import pytest

REPORT = "data/processed/report.html"


def planned(project):
    """Return whether a run would write the report again."""
    return "rule write_report" in project.run("-n").stdout


def test_a_second_run_does_not_write_it(looked_at):
    assert not planned(looked_at)


@pytest.mark.parametrize(
    "change",
    [
        "limits: {max_rejected_fraction: 0.06}",
        "branches: [stealth]",
        "features: {fill: zero}",
    ],
)
def test_it_is_written_again_for_what_it_tells(looked_at, change):
    looked_at.set(change)
    assert planned(looked_at)


@pytest.mark.parametrize("change", ["retrieve: {attempts: 9}", "dask: {scheduler_address: null}"])
def test_it_stays_for_what_it_does_not_tell(looked_at, change):
    looked_at.set(change)
    assert not planned(looked_at)


def test_it_is_about_the_branches_that_are_switched_on(finished):
    page = finished.path(REPORT).read_text()
    for title in ("Magnetic records", "SDO images", "Stealth flares", "ZTF stamps"):
        assert f">{title}</h2>" in page
    assert ">Aligned pairs</h2>" not in page
    finished.set("branches: [stealth]")
    finished.run("--cores", "2")
    page = finished.path(REPORT).read_text()
    assert ">Stealth flares</h2>" in page
    assert ">Magnetic records</h2>" not in page
    assert "max_corrupt_fraction" not in page
    finished.set("branches: [magnetic, sdo, stealth, ztf]")
    finished.run("--cores", "2")
    assert ">Magnetic records</h2>" in finished.path(REPORT).read_text()


def test_it_is_not_written_when_the_counts_of_products_do_not_add_up(finished):
    module = finished.path("workflow/scripts/skymill/magnetic/figures.py")
    text = module.read_text()
    module.write_text(text.replace('ids["kept"]', 'ids["kept"] + 1'))
    done = finished.run("--cores", "2", succeeds=False)
    assert "the counts of the report do not add up: kept" in done.stdout + done.stderr
