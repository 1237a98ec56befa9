"""A program that goes on when the command that started it has ended: start it, find it again, stop it."""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 10


@dataclass(frozen=True)
class Program:
    """One that keeps its pid file and its log inside the directory `state`, under its name."""

    state: Path
    name: str

    @property
    def log(self) -> Path:
        return self.state / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.state / f"{self.name}.pid"

    @property
    def found(self) -> dict[str, int] | None:
        """If it runs: its "pid", and what `start` was told about it.

        The program inherits a lock on its pid file and holds it until it dies, however it dies. So a stale file is
        known by its missing lock, and a pid that the system has since given to another program is not touched.
        """
        try:
            with self.pid_file.open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return dict(json.loads(self.pid_file.read_text()))

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int] = (), **about: int
    ) -> subprocess.Popen[bytes]:
        """`inherited` are file descriptors that it is to have; `about` is what `found` is to tell."""
        with self.pid_file.open("w") as lock, self.log.open("wb") as log:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            process = subprocess.Popen(
                command,
                cwd=Path(__file__).resolve().parent.parent,  # where `python -m local...` finds its modules
                env=environment,
                pass_fds=[lock.fileno(), *inherited],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in `make up` is not meant for it
            )
            json.dump({"pid": process.pid, **about}, lock)
        return process

    def stop(self) -> None:
        """Stop it, if it runs, and wait until it has gone."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + STOP_SECONDS
            owner = self.found
            if owner:
                with suppress(ProcessLookupError):
                    os.kill(owner["pid"], signal_number)
            while self.found and time.monotonic() < deadline:
                time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)
