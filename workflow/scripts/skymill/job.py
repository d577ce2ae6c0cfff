"""What every job does around its work: the right code, a log, and errors that can be acted on."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import skymill
from skymill.errors import SkymillError

logger = logging.getLogger(__name__)


def require_own_package(script: Path) -> None:
    """Refuse to run when `skymill` is not the copy that stands beside the script.

    The digests that decide what is stale describe that copy, so results of another one would
    carry a false label.
    """
    imported = Path(skymill.__file__).resolve().parent
    expected = Path(script).resolve().parent / "skymill"
    if imported != expected:
        raise SkymillError(
            f"this workflow's code is {expected}, but Python imports {imported}. "
            "Install this checkout (`make setup`, or `pip install --editable .`) in the "
            "environment that runs Snakemake, or uninstall the other copy."
        )


@contextlib.contextmanager
def logged_job(script: str, log: str) -> Iterator[None]:
    """Run a script's work with its log file; turn an error into a message and a failed job.

    Everything goes to the log, with tracebacks; what the user must know goes to stderr as well.
    The last line of both says what to do.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w")
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        require_own_package(Path(script))
        yield
    except SkymillError as error:
        _fail(handler, log, traceback.format_exc(), str(error))
    except ImportError as error:
        advice = (
            f"{error}. The environment is not the one that envs/ describes: type `make setup`, or "
            "install envs/requirements.txt."
        )
        _fail(handler, log, traceback.format_exc(), advice)
    except MemoryError:
        advice = "out of memory: run with fewer cores (`--cores 1`), or on a larger machine."
        _fail(handler, log, traceback.format_exc(), advice)
    except OSError as error:
        advice = f"{error}. Check the disk and the permissions, then run again."
        _fail(handler, log, traceback.format_exc(), advice)
    except Exception as error:  # noqa: BLE001 (every failure ends in a message and a log)
        advice = (
            f"{type(error).__name__}: {error}. This is a fault of Skymill, not of your data: "
            f"please report it with {log}."
        )
        _fail(handler, log, traceback.format_exc(), advice)
    finally:
        root.removeHandler(handler)
        handler.close()


def _fail(handler: logging.FileHandler, log: str, trace: str, message: str) -> None:
    """Write the traceback to the log, the message to the log and to stderr, and end the job."""
    handler.stream.write(f"{trace}\nERROR: {message}\n")
    handler.flush()
    sys.stderr.write(f"{Path(log).stem}: {message}\n")
    sys.stderr.flush()
    # os._exit would skip what cleans up; SystemExit ends the script without a second traceback.
    raise SystemExit(os.EX_SOFTWARE)
