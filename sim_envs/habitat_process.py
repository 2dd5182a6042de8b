"""One Habitat worker: its process, the messages to and from it, and what is said when it fails."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np

from sim_envs import habitat_worker as protocol
from sim_envs.simulator import SceneError, SimulatorError, SimulatorLostError

WORKER = Path(protocol.__file__)
_TAIL_LINES, _TAIL_BYTES = 12, 8192  # of the worker's log, shown when it fails
_START = 60.0  # s that a worker may take to start at least: importing habitat_sim is slow from a cold disk
_PATIENCE = 2.0  # s for a worker to end by itself
_QUIET = {"MAGNUM_LOG": "quiet", "HABITAT_SIM_LOG": "quiet"}


class WorkerFailedError(SimulatorLostError):
    """The worker process is of no more use; the message ends with the last lines of its log."""


class WorkerDiedError(WorkerFailedError):
    """The worker process ended by itself or was killed."""


class WorkerHungError(WorkerFailedError):
    """The worker did not answer in time, and was killed."""


class ProtocolError(WorkerFailedError):
    """What the worker sent is no message, or broke off."""


class VersionError(SimulatorError):
    """The worker speaks another version of the protocol, or its interpreter cannot import habitat_sim."""


class HabitatProcess:
    """A running worker. After a `WorkerFailedError` it is gone: make another one."""

    def __init__(self, python: str | Path, *, timeout: float = 60.0, worker: Path = WORKER) -> None:
        """`timeout` are the seconds that a call may take."""
        self.python = str(python)
        self._timeout = timeout
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  has no name, and lives as long as we do
        memory = os.memfd_create("habitat-pictures", os.MFD_CLOEXEC)
        self._memory = protocol.Memory(memory)
        self._channel, theirs = socket.socketpair()
        try:
            self._process = _spawn(self.python, worker, theirs, memory, self._log)
        except BaseException:
            os.close(memory)
            self._channel.close()
            self._log.close()
            raise
        finally:
            theirs.close()
        self.close = weakref.finalize(self, _end, self._process, self._channel, memory, self._log)
        self.versions: dict[str, str] = {}
        self.cuda = False
        self._greet()

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, name: str, *, timeout: float | None = None, **arguments: Any) -> Any:
        """What the worker answers; its refusals are raised as SimulatorErrors."""
        answer = self._exchange({"call": name, **arguments}, timeout or self._timeout)
        if "error" not in answer:
            return answer.get("result")
        text, kind = str(answer["error"]), answer.get("kind")
        if kind == "fault":
            raise SimulatorError(f"Habitat failed at {name}: {text}{self._tail()}")
        raise SceneError(text) if kind == "scene" else Refused(text, str(kind))

    def pictures(self, count: int, height: int, width: int, channels: list[str]) -> dict[str, np.ndarray]:
        """The memory that the next call of this size writes to, as arrays [count, height, width, ...] by channel."""
        size = protocol.picture_bytes(count, height, width, channels)
        if os.fstat(self._memory.descriptor).st_size < size:
            os.ftruncate(self._memory.descriptor, size)
        return self._memory.pictures(count, height, width, channels)

    def _greet(self) -> None:
        greeting = self._exchange(None, max(self._timeout, _START))
        if greeting.get("protocol") != protocol.PROTOCOL:
            self.close()
            raise VersionError(
                f"the Habitat worker speaks version {greeting.get('protocol')} of the protocol and this program "
                f"{protocol.PROTOCOL}: install the same version of nav_foundation for both")
        if "error" in greeting:
            self.close()
            raise VersionError(
                f"{self.python} cannot import habitat_sim ({greeting['error']}): give the Python of the environment "
                "that Habitat is installed in")
        self.versions = {str(name): str(value) for name, value in greeting["versions"].items()}
        self.cuda = bool(greeting["cuda"])

    def _exchange(self, request: dict[str, Any] | None, timeout: float) -> dict[str, Any]:
        """Send a request, if there is one, and wait for the next message."""
        what = f"at {request['call']}" if request else "while it started"
        self._channel.settimeout(timeout)
        try:
            if request is not None:
                protocol.send(self._channel, request)
            answer = protocol.receive(self._channel)
        except TimeoutError:
            tail = self._tail()
            self._stop(kill=True)
            raise WorkerHungError(f"the Habitat worker gave no answer {what} within {timeout:g} s and was ended: "
                                  f"give it more time, or look at its log{tail}") from None
        except protocol.TruncatedError as error:
            self._stop(kill=True)
            raise ProtocolError(f"the Habitat worker sent a message {what} that cannot be read ({error}): "
                                f"it was ended{self._tail()}") from None
        except OSError:  # the socket is closed at the other end
            answer = None
        except BaseException:  # Ctrl-C: the answer is still to come, and would be taken for the next one
            self._stop(kill=True)
            raise
        if answer is None:
            self._stop(kill=False)
            raise WorkerDiedError(f"the Habitat worker {_ending(self._process.returncode)} {what}: look at its "
                                  f"log{self._tail()}")
        return answer

    def _stop(self, kill: bool) -> None:
        """End the process and reap it; the log stays open for what is to be said."""
        if kill:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _tail(self) -> str:
        """The last lines of the worker's log, as the end of a message."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        text = os.pread(self._log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
        return "\n  " + "\n  ".join(lines) if lines else " (it is empty)"


class Refused(SimulatorError):
    """The worker is well and says no; `kind` tells what for."""

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


def foreign_environment() -> dict[str, str]:
    """Ours less what would lead another Python to our modules, or to those of a ROS that was sourced."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}


def _spawn(
    python: str, worker: Path, theirs: socket.socket, memory: int, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    command = [python, str(worker), str(theirs.fileno()), str(memory)]
    if threading.current_thread() is threading.main_thread():
        command.append(str(os.getpid()))  # Linux takes the end of the thread that began a process for its parent's
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(theirs.fileno(), memory),
            env={**foreign_environment(), **_QUIET})
    except OSError as error:
        raise SimulatorError(
            f"habitat-python {python!r} cannot be started ({error.strerror or error}): give the path of the Python "
            "that Habitat is installed for") from None


def _end(process: subprocess.Popen[bytes], channel: socket.socket, memory: int, log: IO[bytes]) -> None:
    """Close everything; the process ends when it sees its socket closed, or is made to."""
    channel.close()
    if process.poll() is None and not _gone(process):
        process.kill()
    process.wait()
    os.close(memory)
    log.close()


def _gone(process: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE)
    return process.returncode is not None


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended by itself with exit code {code}"
