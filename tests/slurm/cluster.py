"""A SLURM of one node on loopback, with its own daemons, keys and folders.

The cluster uses no part of the machine's SLURM: it has its own key, socket, ports and state. Only
slurm.conf and cgroup.conf must be in /etc/slurm, because Snakemake's plugin hides SLURM_CONF from
the jobs. They are links to files of this cluster, and are deleted at the end.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from skymill.engine.process_start import is_alive, process_start

CONFIGURATIONS = (Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/cgroup.conf"))
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
CPUS = 64
"""CPUs that the node claims to have, so that no job waits for the threads of another one."""
PATIENCE = 120
"""Seconds after which a daemon that does not answer counts as broken."""

SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
# Jobs that take more memory than they asked for are killed. Memory is checked every second.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# The node has the CPUs and memory given here, not those of the machine.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=3
# SLURM keeps ended jobs for two hours, so that tests on slow machines still find them.
MinJobAge=7200
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Refused(Exception):
    """The cluster cannot run on this machine; the message says why and what to do."""


class Cluster:
    """A running SLURM: its folder, and its commands."""

    partition = "test"

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """Return the output of a SLURM command, which must succeed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Return the jobs in these states (`all`, or `PENDING,RUNNING,COMPLETING`), oldest first.

        Each has `id`, `state`, `cpus`, `memory`, `minutes`, `comment` (the rule), `folder`.
        """
        names = ("id", "state", "cpus", "memory", "limit", "folder", "comment")
        listed = self.ask("squeue", "-h", f"--states={states}", "-o", "%A|%T|%C|%m|%l|%Z|%k")
        rows = [dict(zip(names, line.split("|"), strict=True)) for line in listed.splitlines()]
        return sorted(rows, key=lambda job: int(job["id"]))

    def wait_until(self, condition, what: str, seconds: float = PATIENCE) -> None:
        """Wait until `condition()` is true; fail with `what` was waited for."""
        _wait_until(condition, what, seconds)

    def wait_until_idle(self) -> None:
        """Wait until no job is in the queue."""
        live = "PENDING,RUNNING,SUSPENDED,COMPLETING"
        self.wait_until(lambda: not self.jobs(live), "an empty queue")


def _wait_until(condition, what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.1)


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster, and remove all its files and processes at the end, also after an error."""
    _delete_leftovers()
    _require_free_machine()
    name = f"skymill{secrets.token_hex(4)}"
    folder = Path(tempfile.mkdtemp(prefix="skymill-slurm-"))
    daemons: list[subprocess.Popen] = []
    cluster = Cluster(folder, name)
    try:
        _configure(cluster)
        for command in _commands(folder):
            with open(folder / f"{command[0]}.out", "wb") as output:
                # A separate session: Ctrl-C must not reach the daemons before the clean-up.
                daemon = subprocess.Popen(
                    command,
                    env=cluster.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            daemons.append(daemon)
            if command[0] == "munged":
                _wait_until((folder / "munge.sock").exists, "munged's socket")
        _wait_until(lambda: _is_idle(cluster, daemons), "an idle node")
        yield cluster
    finally:
        _end(cluster, daemons)


def _configure(cluster: Cluster) -> None:
    folder = cluster.folder
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    port, node_port = _free_ports(2)
    text = SLURM_CONF.format(
        name=cluster.name,
        host=socket.gethostname().split(".")[0],
        port=port,
        node_port=node_port,
        folder=folder,
        cpus=CPUS,
        # The machine need not have it: the cluster does not use its settings.
        memory=128_000,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
    (folder / "owner").write_text(f"{os.getpid()} {process_start(os.getpid())}")
    for link in CONFIGURATIONS:
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(folder / link.name)


def _commands(folder: Path) -> list[list[str]]:
    configuration = str(folder / "slurm.conf")
    munged = [
        "munged",
        "--foreground",
        "--force",
        f"--socket={folder}/munge.sock",
        f"--key-file={folder}/munge.key",
        f"--pid-file={folder}/munged.pid",
        f"--log-file={folder}/munged.log",
        f"--seed-file={folder}/munge.seed",
    ]
    return [
        munged,
        ["slurmctld", "-D", "-c", "-f", configuration],
        ["slurmd", "-D", "-c", "-f", configuration],
    ]


def _is_idle(cluster: Cluster, daemons: list[subprocess.Popen]) -> bool:
    for daemon in daemons:
        if daemon.poll() is not None:
            logs = "".join(path.read_text() for path in cluster.folder.glob("*.out"))
            raise AssertionError(f"{daemon.args[0]} ended by itself:\n{logs[-3000:]}")
    done = subprocess.run(
        ["sinfo", "-h", "-o", "%T"], env=cluster.environment, capture_output=True, text=True
    )
    return done.stdout.strip() == "idle"


def _end(cluster: Cluster, daemons: list[subprocess.Popen]) -> None:
    """End jobs and daemons of this cluster, and delete its files."""
    for process in _jobs_of(cluster.name):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for daemon in reversed(daemons):
        daemon.terminate()
    for daemon in daemons:
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    _remove_files(cluster.folder)


def _remove_files(folder: Path) -> None:
    for link in CONFIGURATIONS:
        if link.is_symlink() and link.readlink().parent == folder:
            link.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _jobs_of(name: str) -> list[psutil.Process]:
    """Return the processes of a cluster's jobs, found by SLURM_CLUSTER_NAME."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get("SLURM_CLUSTER_NAME") == name:
                found.append(process)
    return found


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _delete_leftovers() -> None:
    """End processes and delete files of an earlier test run that was killed."""
    link = CONFIGURATIONS[0]
    if not link.is_symlink() or not link.readlink().parent.name.startswith("skymill-slurm-"):
        return
    folder = link.readlink().parent
    if (folder / "owner").exists():
        pid, start = (folder / "owner").read_text().split(maxsplit=1)
        if is_alive(int(pid), start):
            raise Refused(f"another run of these tests is active (process {pid}).")
        name = re.search(r"^ClusterName=(\w+)", (folder / "slurm.conf").read_text(), re.M)[1]
        left = [*_jobs_of(name), *_daemons_in(folder)]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)
    _remove_files(folder)


def _is_dead(process: psutil.Process) -> bool:
    """Return whether a process has ended, even if no process has read its exit code."""
    return process.status() == psutil.STATUS_ZOMBIE


def _daemons_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(str(folder) in part for part in process.cmdline()):
                found.append(process)
    return found


def _require_free_machine() -> None:
    """Refuse a machine that lacks a requirement, or already has a SLURM."""
    if os.geteuid() != 0:
        raise Refused("the SLURM daemons need root. Run it as root, in a container for instance.")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise Refused(
            f"{', '.join(missing)} not found. `make test-slurm` installs Debian's packages "
            "slurm-wlm and munge."
        )
    for path in CONFIGURATIONS:
        if path.exists() or path.is_symlink():
            raise Refused(
                f"{path} exists: this machine belongs to a SLURM cluster, or belonged to one. Run "
                "these tests elsewhere, or delete the file if it is not needed."
            )
    running = {
        process.name(): process.pid for process in psutil.process_iter() if not _is_dead(process)
    }
    for daemon in ("slurmctld", "slurmd"):
        if daemon in running:
            raise Refused(
                f"{daemon} is already running (process {running[daemon]}): stop it first, or run "
                "these tests elsewhere."
            )
