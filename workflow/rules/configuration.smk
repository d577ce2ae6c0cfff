# What comes before the configuration is read: where the package is, and whether the configuration has
# an end.
import sys

SCRIPTS = Path(str(workflow.current_basedir)).parent / "scripts"
IS_CHECKOUT = SCRIPTS.is_dir()
if IS_CHECKOUT:
    sys.path.insert(0, str(SCRIPTS))

from snakemake.logging import logger
from snakemake.settings.types import ExecMode


def stop(message):
    """End with a message alone: a WorkflowError would add a file and a line of the workflow."""
    logger.error(message)
    sys.exit(1)


def without_package(error):
    """End with what to do when the package is not there."""
    if error.name != "skymill":
        raise error
    stop(
        "The package skymill cannot be imported. A workflow that is loaded from a git address "
        "needs the package in the environment of Snakemake: `pip install` a checkout of the same "
        "version, or name the Snakefile of a checkout by its path."
    )


try:
    from skymill.engine.errors import SkymillError
    from skymill.settings import require_bounded, require_bounded_file
except ModuleNotFoundError as error:
    without_package(error)

# Jobs are given what the run that started them has checked.
IS_MAIN = workflow.exec_mode == ExecMode.DEFAULT
if IS_MAIN:
    try:
        require_bounded(config, "the configuration of the command line")
        if CONFIG.is_file():
            require_bounded_file(CONFIG)
    except SkymillError as error:
        stop(str(error))
