"""Products and Snakemake's records belong together as long as nobody else has run on either."""

import shutil

from skymill.home import is_home, settle


def test_what_was_made_here_is_at_home(tmp_path):
    assert not is_home(tmp_path)
    settle(tmp_path)
    assert is_home(tmp_path)
    settle(tmp_path)
    assert is_home(tmp_path)


def test_a_copy_of_both_is_at_home_and_one_of_the_data_alone_is_not(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    settle(first)
    shutil.copytree(first, second)
    assert is_home(second)
    shutil.rmtree(second / ".snakemake")
    assert not is_home(second)


def test_a_run_elsewhere_on_the_same_data_is_noticed_even_with_copied_records(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    settle(first)
    shutil.copytree(first / ".snakemake", second / ".snakemake")
    (second / "data").symlink_to(first / "data")
    assert is_home(first)
    assert is_home(second)
    settle(second)
    assert is_home(second)
    assert not is_home(first)
