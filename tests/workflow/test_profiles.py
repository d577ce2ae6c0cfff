"""The cluster profiles and the rules fit together. tests/slurm runs the profiles."""

import re

import pytest
import yaml

from projects import REPOSITORY

RULES = REPOSITORY / "workflow" / "rules"
SHARED = ("jobs", "local-cores", "groups", "set-threads", "retries", "latency-wait")


def profile(name):
    return yaml.safe_load((REPOSITORY / name / "config.yaml").read_text())


def rules():
    """Return the text of each rule that runs something, by name: the others are never submitted."""
    text = "\n".join(path.read_text() for path in sorted(RULES.glob("*.smk")))
    parts = re.split(r"^ *rule (\w+):\n", text, flags=re.MULTILINE)
    found = zip(parts[1::2], parts[2::2], strict=True)
    return {name: text for name, text in found if "script:\n" in text}


def local_rules():
    """Return the rules that never go to a cluster."""
    return {name for name, text in rules().items() if "    localrule: True\n" in text}


def test_every_rule_stays_local_or_says_what_it_needs():
    assert local_rules()
    for name, text in rules().items():
        needs = {"mem_mb=memory(", "runtime=minutes("}
        assert name in local_rules() or all(need in text for need in needs), name


def test_rules_that_need_the_internet_stay_local():
    assert "retrieve" in local_rules()


def test_rules_that_profiles_name_exist_and_are_submitted():
    settings = profile("profiles/slurm")
    named = {entry.split("=")[0] for entry in settings["groups"] + settings["set-threads"]}
    assert named <= rules().keys() - local_rules()


def test_no_check_is_grouped_with_what_it_checks():
    groups = profile("profiles/slurm")["groups"]
    assert not [entry for entry in groups if entry.startswith("check")]


def test_both_profiles_run_jobs_alike():
    slurm, generic = profile("profiles/slurm"), profile("profiles/generic")
    for key in SHARED:
        assert slurm[key] == generic[key], key


@pytest.mark.parametrize("name", ["profiles/slurm", "profiles/generic"])
def test_the_default_profile_overrides_nothing_of_a_cluster_profile(name):
    assert not profile(name).keys() & profile("workflow/profiles/default").keys()


@pytest.mark.parametrize("name", ["profiles/slurm", "profiles/generic"])
def test_a_dry_run_needs_no_cluster(project, name):
    assert {"simulate_magnetic", "write_features"} <= project.stale("--profile", name)


def test_the_catalogue_of_workflows_has_the_triggers_of_the_default_profile():
    catalogue = yaml.safe_load((REPOSITORY / ".snakemake-workflow-catalog.yml").read_text())
    flags = catalogue["usage"]["mandatory-flags"]["flags"]
    triggers = profile("workflow/profiles/default")["rerun-triggers"]
    assert f"--rerun-triggers {' '.join(triggers)} " in flags
