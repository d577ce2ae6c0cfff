"""Batches of work return the same list for any workers, local or on a Dask cluster."""

import _thread
import contextlib
import errno
import importlib.metadata
import multiprocessing.forkserver
import operator
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import dask
import numpy as np
import pytest
import worker_pieces
from distributed import Client
from records import SCRIPTS

import dask_clusters
from dask_clusters import LoopbackCluster
from servers import FileServer
from skymill.engine import cluster, parallel
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces, map_stream


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_are_in_the_order_of_the_items(workers):
    pieces = (number for number in range(-3, 0))
    assert map_pieces(operator.neg, pieces, workers=workers, what="count") == [3, 2, 1]


def test_no_items_give_no_results():
    assert map_pieces(operator.neg, [], workers=3, what="count") == []


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_started_in_order(workers):
    # Callers put the largest items first, so that no worker still has a long item at the end.
    begun = np.array(map_pieces(worker_pieces.begin, range(60), workers=workers, what="begin"))
    late = np.argsort(np.argsort(begun)) - np.arange(60)
    assert abs(late).max() < 20


def test_a_killed_worker_is_reported_with_advice():
    with pytest.raises(SkymillError, match=r"killed or crashed \(die\).* fewer --cores"):
        map_pieces(dask_clusters.die, [0, 1], workers=2, what="die")


EARLY = """
import os, sys
sys.path.extend(sys.argv[1:])
import psutil
from skymill.engine.parallel import map_pieces, start_workers

def children():
    return [child.pid for child in psutil.Process().children()]

environment = dict(os.environ)
start_workers("worker_pieces", 1)
os.environ["DASK_SCHEDULER_ADDRESS"] = "tcp://127.0.0.1:1"
start_workers("worker_pieces", 2)
del os.environ["DASK_SCHEDULER_ADDRESS"]
assert children() == []
start_workers("worker_pieces", 2)
started = children()
assert started
import worker_pieces
assert map_pieces(worker_pieces.look, [1, 2, 3], workers=2, what="look") == [(True, "1")] * 3
assert children() == started
assert dict(os.environ) == environment
"""


def test_workers_started_early_have_imported_the_modules_of_the_job(tmp_path):
    script, elsewhere = tmp_path / "scripts" / "job.py", tmp_path / "elsewhere"
    script.parent.mkdir()
    script.write_text(EARLY)
    elsewhere.mkdir()
    # The job does not import from its current directory, so its workers do not either.
    (elsewhere / "worker_pieces.py").write_text("raise RuntimeError('this is another one')")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"OPENBLAS_NUM_THREADS": "2"}  # as Snakemake sets it for a job with two threads
    folders = [str(SCRIPTS), str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, str(script), *folders],
        cwd=elsewhere,
        env=variables,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_workers_that_cannot_be_started_are_reported_with_advice(monkeypatch):
    def refuse():
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(multiprocessing.forkserver, "ensure_running", refuse)
    with pytest.raises(SkymillError, match=r"AF_UNIX path too long.*TMPDIR"):
        map_pieces(worker_pieces.begin, [0, 1], workers=2, what="begin")


def test_an_error_in_one_item_does_not_wait_for_other_items(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="item 0 is bad"):
        map_pieces(worker_pieces.fail_beside_a_sleeper, range(12), workers=2, what="fail")
    # The worker that failed may have started one more item, but not two.
    assert {"1.pid"} <= {path.name for path in tmp_path.iterdir()} <= {"1.pid", "2.unborn", "2.pid"}


def test_an_error_that_cannot_be_unpickled_is_not_reported_as_a_killed_worker():
    with pytest.raises(BrokenProcessPool) as caught:
        map_pieces(worker_pieces.fail_unreadably, [0, 1], workers=2, what="fail")
    assert "UnreadableError" in str(caught.value.__cause__)


def test_a_worker_without_memory_is_reported_as_such():
    with pytest.raises(MemoryError):
        map_pieces(worker_pieces.need_too_much, [0, 1], workers=2, what="fail")


def test_a_machine_without_memory_for_workers_is_reported(monkeypatch):
    def refuse():
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(multiprocessing.forkserver, "ensure_running", refuse)
    with pytest.raises(MemoryError):
        map_pieces(worker_pieces.begin, [0, 1], workers=2, what="begin")


def test_workers_end_when_their_job_is_killed(tmp_path):
    program = (
        "import worker_pieces\n"
        "from skymill.engine.parallel import map_pieces\n"
        "map_pieces(worker_pieces.sleep, [0, 1], workers=2, what='sleep')\n"
    )
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=variables) as job:
        notes = [tmp_path / "0.pid", tmp_path / "1.pid"]
        wait_until(lambda: all(note.exists() for note in notes))
        job.kill()
    workers = [int(note.read_text()) for note in notes]
    try:
        wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_an_item_is_raised(workers):
    with pytest.raises(TypeError, match="bad operand type"):
        map_pieces(operator.neg, [1, "text", 3], workers=workers, what="count")


def double(number):
    if number == 13:
        raise ValueError("thirteen")
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stream_is_read_no_faster_than_it_is_processed(workers):
    taken = []

    def source():
        for number in range(100, 140):
            taken.append(number)
            yield number

    results = map_stream(double, source(), workers=workers, what="double")
    for place, result in enumerate(results):
        assert result == 2 * (100 + place)
        assert len(taken) - place <= 1 + 3 * workers
    assert len(taken) == 40


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_stream_is_raised(workers):
    with pytest.raises(ValueError, match="thirteen"):
        list(map_stream(double, range(20), workers=workers, what="double"))


def test_an_error_of_the_source_of_a_stream_is_raised():
    def source():
        yield 1
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(map_stream(double, source(), workers=2, what="double"))


def test_a_stream_keeps_its_order_however_long_items_take():
    def nap(number):
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number

    assert list(map_stream(nap, range(30), workers=4, what="nap")) == list(range(30))


def test_while_all_workers_are_busy_one_more_item_is_read():
    third_is_read = threading.Event()

    def source():
        yield from (0, 1)
        third_is_read.set()
        yield 2

    def work(number):
        return third_is_read.wait(timeout=30)

    assert list(map_stream(work, source(), workers=2, what="wait")) == [True] * 3


def test_many_workers_process_every_item_once():
    numbers = list(range(3000))
    for _ in range(5):
        assert list(map_stream(operator.pos, numbers, workers=8, what="take")) == numbers


def test_no_progress_bar_is_shown_without_a_terminal(capfd):
    map_pieces(operator.neg, [1, 2], workers=1, what="count")
    assert capfd.readouterr() == ("", "")


def test_without_a_cluster_dask_is_not_imported():
    program = (
        "import operator, sys\n"
        "from skymill.engine.parallel import map_pieces, map_stream\n"
        "map_pieces(operator.neg, [1, 2], workers=2, what='count')\n"
        "list(map_stream(operator.neg, [1, 2], workers=2, what='count'))\n"
        "assert 'distributed' not in sys.modules and 'skymill.engine.cluster' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_environment_takes_precedence_over_the_configuration(monkeypatch):
    # Set first: monkeypatch then deletes the variable after the test.
    monkeypatch.setenv(parallel.ADDRESS, "")
    monkeypatch.delenv(parallel.ADDRESS)
    parallel.use_cluster(None)
    assert parallel.ADDRESS not in os.environ
    parallel.use_cluster("tcp://configured:8786")
    assert os.environ[parallel.ADDRESS] == "tcp://configured:8786"
    for address in ("tcp://other:8786", ""):
        monkeypatch.setenv(parallel.ADDRESS, address)
        parallel.use_cluster("tcp://configured:8786")
        assert os.environ[parallel.ADDRESS] == address


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """A shared cluster that no test may damage."""
    with LoopbackCluster(tmp_path_factory.mktemp("two") / "cluster") as running:
        running.add_worker()
        running.add_worker()
        yield running


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """A shared cluster without workers, whose scheduler no test may damage."""
    with LoopbackCluster(tmp_path_factory.mktemp("lasting") / "cluster") as running:
        yield running


@pytest.fixture
def fragile(lasting):
    """The cluster without workers; the test may add workers and damage them."""
    yield lasting
    lasting.remove_workers()


PATIENCE = "distributed.comm.timeouts.connect"


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Change to a project's directory; return a function that sets the cluster for this process."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    # Tests must not wait long.
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.5)

    def use(address):
        monkeypatch.setenv(parallel.ADDRESS, address)

    with dask.config.set({PATIENCE: "2 s"}):
        yield use
    assert list(folder.glob(".snakemake/*")) == [], "a job takes its token away"


@pytest.fixture
def hopeless_job(job):
    """The same for an address where no scheduler answers, however long the job waits."""
    with dask.config.set({PATIENCE: "0.2 s"}):
        yield job


def done_by():
    """Return the processes that processed each item, in order."""
    found = defaultdict(list)
    for line in Path("done.txt").read_text().splitlines():
        item, process = map(int, line.split())
        found[item].append(process)
    return found


def in_the_middle(action):
    """Call `action(pid)` in a thread once an item hangs in process `pid`."""
    note = Path("hanging.txt").absolute()

    def wait():
        deadline = time.monotonic() + 60
        while not note.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        if note.exists():
            action(int(note.read_text()))
        else:
            _thread.interrupt_main()  # else the test would wait forever

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_workers_of_a_cluster_process_items_in_the_directory_of_the_job(two_workers, job):
    job(two_workers.address)
    assert map_pieces(dask_clusters.note, range(40), workers=1, what="n") == [
        2 * n for n in range(40)
    ]
    found = done_by()
    assert sorted(found) == list(range(40))
    assert {process for (process,) in found.values()} == {
        worker.pid for worker in two_workers.workers
    }
    # Afterwards the workers are back in their first directory.
    with Client(two_workers.address, set_as_default=False) as client:
        assert set(client.run(os.getcwd).values()) == {str(two_workers.folder)}


def test_two_successive_jobs_each_have_their_own_directory(two_workers, job, tmp_path, monkeypatch):
    job(two_workers.address)
    map_pieces(dask_clusters.note, range(4), workers=1, what="n")
    (tmp_path / "another").mkdir()
    monkeypatch.chdir(tmp_path / "another")
    map_pieces(dask_clusters.note, range(10, 14), workers=1, what="n")
    assert sorted(done_by()) == list(range(10, 14))


def test_a_stream_on_a_cluster_keeps_its_order_and_is_read_no_faster_than_it_is_processed(
    two_workers, job
):
    job(two_workers.address)
    taken = []

    def source():
        for number in range(100, 160):
            taken.append(number)
            yield number

    for place, result in enumerate(map_stream(dask_clusters.nap, source(), workers=1, what="n")):
        assert result == 100 + place
        assert len(taken) - place <= 1 + 3 * len(two_workers.workers)
    assert len(taken) == 60


def test_an_abandoned_stream_leaves_no_tasks_on_the_cluster(two_workers, job):
    job(two_workers.address)
    results = map_stream(dask_clusters.nap, range(100), workers=1, what="n")
    assert next(results) == 0
    results.close()
    assert tasks_left(two_workers) == 0


def tasks_left(running):
    """Return how many tasks the scheduler still knows, after giving it time to forget."""
    with Client(running.address, set_as_default=False) as client:
        deadline = time.monotonic() + 20
        while True:
            left = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)


def test_an_error_on_a_cluster_is_raised_unchanged(two_workers, job):
    job(two_workers.address)
    with pytest.raises(SkymillError, match=r"^item 7 is bad\. Leave it out\.$"):
        map_pieces(dask_clusters.refuse, [7], workers=1, what="refuse")
    with pytest.raises(TypeError, match="bad operand type"):
        map_pieces(operator.neg, [1, "text", 3], workers=1, what="count")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(map_stream(os.stat, ["nowhere"], workers=1, what="look"))


def test_a_cluster_is_not_contacted_without_items(job):
    job("tcp://127.0.0.1:1")
    assert map_pieces(operator.neg, [], workers=1, what="count") == []


def test_a_cluster_shows_no_progress_bar_and_no_warning_without_a_terminal(two_workers, job, capfd):
    job(two_workers.address)
    map_pieces(operator.neg, [1, 2], workers=1, what="count")
    assert capfd.readouterr() == ("", "")


def test_an_item_above_the_size_that_dask_warns_of_gives_no_warning(two_workers, job):
    job(two_workers.address)
    assert map_pieces(len, [bytes(20 * 2**20)], workers=1, what="length") == [20 * 2**20]


def test_a_killed_worker_only_loses_its_current_items(fragile, job):
    fragile.add_worker()
    fragile.add_worker()
    job(fragile.address)
    killing = in_the_middle(lambda pid: os.kill(pid, signal.SIGKILL))
    expected = [2 * item for item in range(60)]
    assert map_pieces(dask_clusters.note_or_hang, range(60), workers=1, what="n") == expected
    killing.join()
    killed = int(Path("hanging.txt").read_text())
    found = done_by()
    assert sorted(found) == list(range(60))
    assert found[5][0] == killed
    for processes in found.values():
        # Only items of the killed worker may run twice, also if only the result was not fetched.
        assert len(processes) == 1 or (len(processes) == 2 and processes[0] == killed)


def test_an_item_that_kills_every_worker_is_named(tmp_path, job):
    failures = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with LoopbackCluster(tmp_path / "cluster", **failures) as running:
        running.add_worker()
        running.add_worker()
        running.add_worker()
        job(running.address)
        with pytest.raises(SkymillError, match=r"deadly: 2 workers died .* memory"):
            map_pieces(dask_clusters.die, [0], workers=1, what="deadly")


def test_a_job_does_not_wait_forever_when_all_workers_are_lost(fragile, job):
    fragile.add_worker()
    job(fragile.address)
    killing = in_the_middle(lambda pid: os.kill(pid, signal.SIGKILL))
    with pytest.raises(SkymillError, match="had no worker for 2 s"):
        map_pieces(dask_clusters.hang, [0], workers=1, what="hang")
    killing.join()


def test_a_lost_scheduler_is_reported(tmp_path, job):
    with LoopbackCluster(tmp_path / "cluster") as running:
        running.add_worker()
        job(running.address)
        killing = in_the_middle(lambda _: running.scheduler.kill())
        with pytest.raises(SkymillError, match="went away during the job"):
            map_pieces(dask_clusters.hang, [0], workers=1, what="hang")
        killing.join()


def test_an_interrupted_job_leaves_no_tasks_on_the_cluster(fragile, job):
    fragile.add_worker()
    job(fragile.address)
    own = os.getpid()
    interrupting = in_the_middle(lambda _: os.kill(own, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        map_pieces(dask_clusters.hang, range(20), workers=1, what="hang")
    interrupting.join()
    assert tasks_left(fragile) == 0


def test_an_address_without_a_server_is_reported(hopeless_job):
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    hopeless_job(address)
    with pytest.raises(SkymillError, match=f"no Dask scheduler answers at {address}"):
        map_pieces(operator.neg, [1], workers=1, what="count")


def test_an_address_with_a_silent_server_is_reported(hopeless_job):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hopeless_job(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SkymillError, match="no Dask scheduler answers"):
            map_pieces(operator.neg, [1], workers=1, what="count")


def test_an_address_of_another_kind_of_server_is_reported(hopeless_job):
    with FileServer() as other:
        hopeless_job(other.address.replace("http", "tcp"))
        with pytest.raises(SkymillError, match="no Dask scheduler answers"):
            map_pieces(operator.neg, [1], workers=1, what="count")


@pytest.mark.parametrize("address", ["nonsense", "no-protocol://127.0.0.1:80", "tcp://x.invalid:1"])
def test_an_invalid_address_is_reported(hopeless_job, address):
    hopeless_job(address)
    with pytest.raises(SkymillError, match="no Dask scheduler answers"):
        map_pieces(operator.neg, [1], workers=1, what="count")


def test_a_cluster_without_workers_is_reported(fragile, job):
    job(fragile.address)
    with pytest.raises(SkymillError, match=r"had no worker for 2 s.*dask worker"):
        map_pieces(operator.neg, [1], workers=1, what="count")


def other_version(folder, name):
    """Return a folder that makes an installed package look like version 0.0.1."""
    home = folder / f"{name}-0.0.1.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
    return folder


def test_a_worker_with_another_package_is_refused(fragile, job, tmp_path):
    fragile.add_worker(pythonpath=(other_version(tmp_path / "site", "pyarrow"),))
    job(fragile.address)
    installed = importlib.metadata.version("pyarrow")
    with pytest.raises(
        SkymillError, match=f"other packages: pyarrow {installed} here, 0.0.1 there"
    ):
        map_pieces(operator.neg, [1], workers=1, what="count")


def test_a_scheduler_with_another_dask_is_refused(tmp_path, job):
    other = other_version(tmp_path / "site", "dask")
    with LoopbackCluster(tmp_path / "cluster", pythonpath=(other,)) as running:
        running.add_worker()
        job(running.address)
        with pytest.raises(SkymillError, match=r"the scheduler of .* dask .* here, 0.0.1 there"):
            map_pieces(operator.neg, [1], workers=1, what="count")


def test_a_worker_that_joins_later_is_checked_too(fragile, job, tmp_path):
    fragile.add_worker()
    job(fragile.address)
    site = other_version(tmp_path / "site", "numpy")

    def source():
        yield 0
        fragile.add_worker(pythonpath=(site,))
        yield from range(1, 1000)

    with pytest.raises(SkymillError, match=r"worker tcp.* other packages: numpy .* 0.0.1 there"):
        list(map_stream(dask_clusters.nap, source(), workers=1, what="n"))


def test_a_worker_with_another_copy_of_the_code_is_refused(fragile, job, tmp_path):
    copy = tmp_path / "copy" / "skymill"
    shutil.copytree(SCRIPTS / "skymill", copy, ignore=shutil.ignore_patterns("__pycache__"))
    fragile.add_worker(pythonpath=(copy.parent,))
    job(fragile.address)
    assert map_pieces(operator.neg, [1], workers=1, what="count") == [-1], "the copy is the same"
    module = copy / "magnetic" / "augment.py"
    module.write_text(module.read_text() + "\n# edited\n")
    assert map_pieces(operator.neg, [1], workers=1, what="count") == [-1], "it was loaded before"
    fragile.workers[0].kill()
    fragile.workers[0].wait()
    fragile.add_worker(pythonpath=(copy.parent,))
    with pytest.raises(SkymillError, match=f"another copy of Skymill's code .*{copy}"):
        map_pieces(operator.neg, [1], workers=1, what="count")


def test_a_worker_without_the_code_is_refused(fragile, job, tmp_path):
    (tmp_path / "empty" / "skymill").mkdir(parents=True)
    (tmp_path / "empty" / "skymill" / "__init__.py").touch()
    fragile.add_worker(pythonpath=(tmp_path / "empty",))
    job(fragile.address)
    with pytest.raises(SkymillError, match=r"could not load its task .*skymill"):
        map_pieces(operator.neg, [1], workers=1, what="count")
    with Client(fragile.address, set_as_default=False) as client:
        assert len(client.nthreads()) == 1, "a worker of somebody else's is none the worse for it"


def test_a_worker_that_does_not_see_the_files_is_refused(fragile, job):
    # The worker has its own mount namespace, with an empty file system instead of the project.
    apart = ("unshare", "--map-root-user", "--mount")
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mount namespaces")
    hide = ("sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(Path.cwd()))
    fragile.add_worker(prefix=(*apart, *hide))
    job(fragile.address)
    with pytest.raises(SkymillError, match=f"does not see the files of {Path.cwd()}"):
        map_pieces(operator.neg, [1], workers=1, what="count")


def test_threads_of_a_worker_are_never_in_the_directory_of_another_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shared = cluster._Directory()
    homes = [tmp_path / "one", tmp_path / "two"]
    strayed, together = [], []
    inside = {home: 0 for home in homes}

    def work(home):
        for _ in range(30):
            with shared.entered(str(home)):
                inside[home] += 1
                time.sleep(0.001)
                together.append(inside[home])
                if Path.cwd() != home:
                    strayed.append(home)
                inside[home] -= 1

    for home in homes:
        home.mkdir()
    crowd = [threading.Thread(target=work, args=(home,)) for home in homes * 3]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert strayed == []
    assert max(together) > 1, "pieces of one project go together"
    assert Path.cwd() == tmp_path
