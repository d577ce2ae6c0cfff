"""Jobs: a log, and errors that end in a line that says what to do."""

import logging

import pytest
from records import SCRIPTS

from skymill.errors import SkymillError
from skymill.job import logged_job, require_own_package

SCRIPT = str(SCRIPTS / "assign_ids.py")


def fail(tmp_path, error, script=SCRIPT):
    with pytest.raises(SystemExit) as caught, logged_job(script, str(tmp_path / "job.log")):
        raise error
    assert caught.value.code not in (0, None)
    return (tmp_path / "job.log").read_text()


def test_what_a_job_logs_stands_in_its_log(tmp_path):
    with logged_job(SCRIPT, str(tmp_path / "deep" / "job.log")):
        logging.getLogger("skymill.test").info("3 pieces")
    assert (tmp_path / "deep" / "job.log").read_text() == "INFO skymill.test: 3 pieces\n"
    logging.getLogger("skymill.test").warning("after the job")
    assert "after" not in (tmp_path / "deep" / "job.log").read_text()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (SkymillError("raise the limit"), "raise the limit"),
        (MemoryError(), "run with fewer cores"),
        (OSError(28, "No space left on device"), "Check the disk"),
        (KeyError("USFLUX"), "please report it with"),
    ],
)
def test_the_last_line_of_log_and_stderr_says_what_to_do(tmp_path, capsys, error, advice):
    log = fail(tmp_path, error)
    assert "Traceback" in log
    assert advice in log.splitlines()[-1]
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert shown.startswith("job: ")
    assert advice in shown.splitlines()[-1]


def test_a_script_with_another_package_beside_it_refuses_to_run(tmp_path, capsys):
    script = tmp_path / "assign_ids.py"
    with pytest.raises(SkymillError, match="Install this checkout"):
        require_own_package(script)
    ran = []
    with pytest.raises(SystemExit), logged_job(str(script), str(tmp_path / "job.log")):
        ran.append(True)
    assert ran == []
    assert "Python imports" in capsys.readouterr().err
