"""Output of a run with the default `quiet`: plan, progress, result. The effect of Ctrl-C."""

import os
import re
import signal
import subprocess
import time

import pytest

from projects import SNAKEMAKE, WARM, said

STEALTH = "workflow/scripts/skymill/stealth/write.py"
RAW = "data/sample/raw/stealth/data.csv"
PROGRESS = r"^100 %  1 of 1 jobs?, \d:\d\d$"
CONFIG = ("--configfile", "config/small.yaml", "--config", "branches=[stealth]")


def run(project, *arguments):
    """Run Snakemake as users do, on one small branch."""
    command = [*arguments, *CONFIG]
    return WARM.run(command, project.folder, project.environment())


def test_a_run_says_what_it_will_make_how_far_it_is_and_what_it_made(project):
    done = run(project, "--cores", "2")
    assert done.returncode == 0, said(done)
    text = said(done)
    assert "\n6 jobs, about 10 seconds on 2 cores, in data/:\n" in text
    jobs = r"^  raw files +2 jobs\n  stealth +3 jobs\n  report +1 job$"
    assert re.search(jobs, text, re.MULTILINE)
    assert re.search(r"^ 16 %  1 of 6 jobs, \d:\d\d", text, re.MULTILINE)
    assert re.search(r"^100 %  6 of 6 jobs, \d:\d\d$", text, re.MULTILINE)
    made = (
        r"^Made in data/ in \d:\d\d:\n  stealth +2 products +[\d.]+ kB   "
        r"rejected: \d of 400 lines\n  report +1 product +[\d.]+ kB$"
    )
    assert re.search(made, text, re.MULTILINE)
    assert "`skymill summary` lists all products." in text
    for word in ("localrule", "jobid", "Select jobs", "Provided", "Finished"):
        assert word not in text
    assert len(text.splitlines()) < 30
    # The log of the run has all messages.
    log = next(project.path(".snakemake/log").glob("*.log")).read_text()
    assert "localrule convert_stealth" in log
    assert "Finished jobid" in log
    assert "Nothing to be done" in said(run(project, "--cores", "2"))


def test_a_dry_run_lists_jobs_and_reasons_as_snakemake_does(project):
    ours = run(project, "-n").stdout
    snakemakes = run(project, "-n", "--quiet", "reason", "host").stdout
    times = re.compile(r"^\[\w{3} .*\]$", re.MULTILINE)
    assert sorted(times.sub("", ours).splitlines()) == sorted(
        times.sub("", snakemakes).splitlines()
    )
    for word in ("rule convert_stealth:", "output: data/", "\ntotal ", "Reasons:"):
        assert word in ours


def test_a_failed_job_is_shown_with_its_rule_its_error_and_its_log(project):
    module = project.path(STEALTH)
    module.write_text(module.read_text() + '\nraise RuntimeError("a fault in the middle")\n')
    done = run(project, "--cores", "2")
    text = said(done)
    assert done.returncode == 1
    assert "Error in rule convert_stealth:" in text
    assert "convert_stealth: RuntimeError: a fault in the middle." in text
    assert "Logfile logs/convert_stealth.log:" in text
    assert project.path("logs/convert_stealth.log").read_text() in text
    assert "CalledProcessError" not in text


def test_snakemakes_own_output_is_printed_on_request(project):
    text = said(run(project, RAW, "--cores", "2", "--quiet", "host"))
    assert "localrule simulate_stealth" in text
    assert not re.search(PROGRESS, text, re.MULTILINE)
    project.path(RAW).unlink()
    assert re.search(PROGRESS, said(run(project, RAW, "--cores", "2")), re.MULTILINE)


@pytest.mark.parametrize("to_all", [True, False], ids=["as a terminal does", "to Snakemake alone"])
def test_ctrl_c_ends_the_jobs_and_says_how_to_resume(project, to_all):
    process = subprocess.Popen(
        [*SNAKEMAKE, "magnetic", "--cores", "2", "--configfile", "config/small.yaml"],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    begun = project.path("logs")
    deadline = time.monotonic() + 60
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert begun.exists(), "no job has begun"
    (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)
    text = process.communicate(timeout=60)[0]
    assert process.returncode not in (0, -signal.SIGINT), text
    assert text.splitlines()[-1] == "interrupted: run the same command again to continue"
    assert "Traceback" not in text
    assert "Error" not in text
    assert not project.path("data/.lock").exists()
    assert not list(project.path("data").rglob("*.partial"))


def test_packages_of_pythonpath_that_hide_those_of_the_environment_are_refused(project, tmp_path):
    (tmp_path / "other/orjson").mkdir(parents=True)
    scripts = project.environment()["PYTHONPATH"]
    project.variables["PYTHONPATH"] = f"{tmp_path / 'other'}{os.pathsep}{scripts}"
    done = run(project, "-n")
    assert done.returncode == 1
    assert "PYTHONPATH leads to" in said(done)
    assert "unset PYTHONPATH" in said(done)
