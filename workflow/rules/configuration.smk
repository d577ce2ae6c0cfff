# Steps before the configuration is read: find the package, and check that the configuration is not
# endless and that YAML reads its numbers as people do.
import sys

SCRIPTS = Path(str(workflow.current_basedir)).parent / "scripts"
IS_CHECKOUT = SCRIPTS.is_dir()
if IS_CHECKOUT:
    sys.path.insert(0, str(SCRIPTS))

from snakemake.logging import logger
from snakemake.settings.types import ExecMode


def stop(message):
    """Print a message and exit. A WorkflowError would add a file and a line of the workflow."""
    logger.error(message)
    sys.exit(1)


try:
    from skymill.engine.errors import SkymillError
    from skymill.settings import require_bounded, require_bounded_file
except ModuleNotFoundError as error:
    if error.name != "skymill":
        raise
    stop(
        "The package skymill cannot be imported. If you load the workflow from a git address, "
        "install the package in the environment of Snakemake: `pip install` a checkout of the same "
        "version. Or run the Snakefile of a checkout by its path."
    )

# Jobs do not check the configuration again: the run that started them has checked it.
IS_MAIN = workflow.exec_mode == ExecMode.DEFAULT
if IS_MAIN:
    try:
        require_bounded(config, "the configuration of the command line")
        for file in filter(Path.is_file, [CONFIG, *map(Path, workflow.configfiles)]):
            require_bounded_file(file)
    except SkymillError as error:
        stop(str(error))
