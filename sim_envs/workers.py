"""Jobs over processes: results as they come, a dead process reported instead of waited for."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from sim_envs.simulator import SimulatorError, SimulatorLostError

# One thread per process: the processes are the parallelism, and sums come out the same however many there are.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerError(RuntimeError):
    """A worker process died, or its code is at fault; the message says at which job and why."""


class WorkerKilledError(WorkerError, ValueError):
    """The system or somebody killed a worker process: users can mend that, so they get the sentence alone."""


class _DeathError(Exception):
    """A worker process is gone; the message says how it ended."""

    def __init__(self, exitcode: int | None) -> None:
        super().__init__(_cause(exitcode))
        self.kind = WorkerKilledError if exitcode == -signal.SIGKILL else WorkerError


T = TypeVar("T")
_TRIES = 3


def tried_again(action: Callable[[], T]) -> T:
    """What `action` returns, at the third try at the latest where what simulates breaks down."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(SimulatorLostError):
            return action()
    return action()


Job = Callable[[int], Any]  # a job's number in, its result out; both cross the process boundary
MakeJob = Callable[..., Job]  # called once in each process


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    group: int = -1  # number of the group it is at
    pending: list[int] = field(default_factory=list)  # jobs it has been given and not answered, in its order


def run_jobs(
    make_job: MakeJob, arguments: tuple[Any, ...], groups: Sequence[Sequence[int]], workers: int, *,
    retries: int = 0, ahead: int | None = None,
) -> Iterator[tuple[int, Any]]:
    """(number, result) of every job in `groups`, in the order in which they finish.

    Each process calls `make_job(*arguments)` once. A group is done by one process in its order, so jobs that share
    something costly belong in one. What users have to mend is raised here as it is (ValueErrors of `make_job`,
    SimulatorErrors of a job); anything else is a WorkerError with the traceback. A job whose process dies is given to
    a new one up to `retries` times. With `ahead`, no group is begun that many after the first one unfinished.
    """
    queue = list(enumerate(list(group) for group in groups if len(group)))
    deaths: Counter[int] = Counter()
    team: list[_Worker] = []
    try:
        while len(team) < min(workers, len(queue)):
            team.append(_start(make_job, arguments))  # one by one, so that a failure stops those before it
        _share(team, queue, ahead)
        while busy := [worker for worker in team if worker.pending]:
            for pipe in wait([worker.pipe for worker in busy]):
                worker = next(w for w in busy if w.pipe is pipe)
                try:
                    yield _receive(worker)
                except _DeathError as death:
                    number = worker.pending[0]
                    deaths[number] += 1
                    if deaths[number] > retries:
                        tried = f", {deaths[number]} times" if retries else ""
                        raise death.kind(f"the worker process of episode {number} {death}{tried}") from None
                    team.remove(worker)
                    queue.insert(0, (worker.group, worker.pending))
                    team.append(_start(make_job, arguments))
                _share(team, queue, ahead)
    finally:
        _stop(team)


def _start(make_job: MakeJob, arguments: tuple[Any, ...]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make_job, arguments), daemon=True)
    with _environment_of_workers():
        process.start()
    there.close()  # so that the end of the process is the end of the pipe
    return _Worker(process, here)


@contextlib.contextmanager
def _environment_of_workers() -> Iterator[None]:
    """What a process inherits: single-threaded libraries, and deafness to the Ctrl-C that its parent handles."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main else None
    try:
        yield
    finally:
        if in_main:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, make_job: MakeJob, arguments: tuple[Any, ...]) -> None:
    """The life of a worker process: groups of job numbers in, ('done' | 'refused' | 'crashed', what) out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job: Job | None = None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        while True:
            for number in pipe.recv():
                expected = ValueError if job is None else SimulatorError
                try:
                    job = job or _prepare(make_job, arguments)
                    pipe.send(("done", job(number)))
                except expected as error:
                    pipe.send(("refused", error))
                    return
                except Exception:
                    pipe.send(("crashed", traceback.format_exc()))
                    return


def _prepare(make_job: MakeJob, arguments: tuple[Any, ...]) -> Job:
    import cv2

    cv2.setNumThreads(1)
    return make_job(*arguments)


def _share(team: list[_Worker], queue: list[tuple[int, list[int]]], ahead: int | None) -> None:
    """Give groups to those who have none."""
    for worker in team:
        first = min((w.group for w in team if w.pending), default=math.inf)
        if not worker.pending and queue and (ahead is None or queue[0][0] < first + ahead):
            worker.group, worker.pending = queue.pop(0)
            with contextlib.suppress(BrokenPipeError):  # `_receive` tells why it died
                worker.pipe.send(worker.pending)


def _receive(worker: _Worker) -> tuple[int, Any]:
    number = worker.pending[0]
    try:
        kind, what = worker.pipe.recv()
    except (EOFError, OSError):  # between two messages, or within one
        worker.process.join()
        raise _DeathError(worker.process.exitcode) from None
    if kind == "crashed":
        raise WorkerError(f"episode {number} failed in a worker process:\n{what}")
    if kind == "refused":
        raise what
    worker.pending.pop(0)
    return number, what


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        memory = ", as the system does when memory runs out: try fewer workers" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}"
    return f"ended by itself with exit code {exitcode}"


def _stop(team: list[_Worker]) -> None:
    for worker in team:
        worker.pipe.close()
        worker.process.terminate()
    for worker in team:
        worker.process.join(5)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
