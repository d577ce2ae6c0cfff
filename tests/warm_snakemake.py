"""A process that has imported Snakemake and forks for each command: a dry run without its start.

Commands come as JSON lines on stdin: `arguments`, `folder`, `environment`, the files `out` and
`error` that take what is written, the file `learned`, and the `python` that runs the scripts of
jobs, see warm_jobs. The exit code goes back as a line on stdout.

What Snakemake's parser and Python's compiler make of a Snakefile is kept, because most commands of
tests read the same Snakefiles again. A fork tells what it has made by the file `learned`.
"""

import asyncio
import atexit
import gc
import importlib
import json
import marshal
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from warm_jobs import SOCKET, warm_jobs

QUERY_OFTEN = "SKYMILL_TEST_QUERY_OFTEN"
"""Environment variable: set, if commands shall call `query_often`."""

LIBRARIES = (
    "graphlib",
    "jsonschema",
    "multiprocessing.forkserver",
    "nbformat",
    "packaging.version",
    "requests",
    "smart_open",
    "snakemake.api",
    "snakemake.dag",
    "snakemake.linting.rules",
    "snakemake.linting.snakefiles",
    "snakemake.report",
    "snakemake.storage",
    "snakemake.workflow",
)
"""What commands import. No module of the project: a command imports the copy of its own folder."""


_KEPT: dict[tuple, object] = {}
"""Results of the parser and the compiler, by all that the results depend on."""
_NEW: dict[tuple, object] = {}
"""The results that this fork has made."""


def serve() -> None:
    """Run each command in a fork, one after the other, until stdin ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    import snakemake.cli

    _read_snakefiles_once()
    # This loads the plugins.
    snakemake.cli.get_argument_parser()
    # Forks share the memory of what is there now: their collector has no need to write to it.
    gc.collect()
    gc.freeze()
    # A fork ends before garbage fills its memory.
    gc.set_threshold(100_000)
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(snakemake.cli.main, command)
        _, status = os.waitpid(child, 0)
        if content := Path(command["learned"]).read_bytes():
            _KEPT.update(pickle.loads(content))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _run(main, command: dict) -> None:
    """Become the process that the command line would have started; never return."""
    code = 1
    try:
        for number, name in ((1, "out"), (2, "error")):
            os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(command["folder"])
        os.environ.clear()
        os.environ.update(command["environment"])
        own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        sys.path[:0] = [str(Path.cwd()), *filter(None, own)]
        sys.argv = ["snakemake", *command["arguments"]]
        sys.executable = command["python"]
        if os.environ.get(QUERY_OFTEN):
            query_often()
        main(command["arguments"])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 (whatever it was, the fork ends here)
        traceback.print_exc()
    finally:
        # os._exit does without: the next command should not find the note of a killed run.
        atexit._run_exitfuncs()
        if _NEW:
            Path(command["learned"]).write_bytes(pickle.dumps(_NEW))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _read_snakefiles_once() -> None:
    """Make Snakemake parse and compile each Snakefile once for all commands."""
    import snakemake.workflow as module

    parse_anew = module.parse

    def parse(path, workflow, linemap, overwrite_shellcmd=None, rulecount=0):
        # The result has the path in it, and the number of rules before.
        name = path.get_path_or_uri(secret_free=True)
        with workflow.sourcecache.open(path) as file:
            key = ("parsed", name, file.read(), overwrite_shellcmd, rulecount)
        if key not in _KEPT:
            lines: dict[int, int] = {}
            parsed = parse_anew(path, workflow, lines, overwrite_shellcmd, rulecount)
            _KEPT[key] = _NEW[key] = (*parsed, lines)
        code, rules, lines = _KEPT[key]
        linemap |= lines
        return code, rules

    def compile_once(*call):
        key = ("compiled", *call)
        if key not in _KEPT:
            _KEPT[key] = _NEW[key] = marshal.dumps(compile(*call))
        return marshal.loads(_KEPT[key])

    module.parse, module.compile = parse, compile_once


def query_often() -> None:
    """Ask a batch system for the states of submitted jobs each second.

    The plugin for SLURM waits ten seconds longer each time that no job has ended: right for a
    cluster, but most of the time of a test.
    """
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.sleep = lambda executor: asyncio.sleep(1)


class WarmSnakemake:
    """Runs Snakemake's command line in forks of a process that has imported it.

    Each thread that runs a command at the same time has its own process.
    """

    def __init__(self):
        self._idle: list[subprocess.Popen] = []

    def run(
        self, arguments: list[str], folder: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess:
        """Run a command as `python -m snakemake ARGUMENTS` would in a folder."""
        try:
            process = self._idle.pop()
        except IndexError:
            process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        with tempfile.TemporaryDirectory() as kept:
            out, error, learned = (Path(kept, name) for name in ("out", "error", "learned"))
            learned.touch()
            command = {
                "arguments": arguments,
                "folder": str(folder),
                "environment": {**environment, SOCKET: warm_jobs().address},
                "python": str(warm_jobs().python),
                "out": str(out),
                "error": str(error),
                "learned": str(learned),
            }
            process.stdin.write(json.dumps(command) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, "the process that runs Snakemake has ended"
            self._idle.append(process)
            texts = [path.read_text(errors="replace") for path in (out, error)]
        return subprocess.CompletedProcess(arguments, int(answer), *texts)


if __name__ == "__main__":
    serve()
