"""Results of evaluations on disk: one JSON line per episode as they come, one JSON file in the end."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from nav_foundation.files import make_folder, write_text
from sim_envs.metrics import Difference, paired_comparison

Existing = Literal["continue", "finish", "keep", "replace"]  # what to do with results that are there already
Record = dict[str, Any]  # of one episode; `index` counts them, `episode` is the fingerprint of what was asked


class Journal:
    """A JSONL file that begins with a header and grows by a line per episode. Whatever stops the program, it can go on.

    The header says what was evaluated (`identity`); a journal of something else is refused, so that results never mix.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], wanted: int, existing: Existing = "continue") -> None:
        """`wanted` episodes make it complete. An `existing` journal of the same identity that is not complete is gone
        on with. A complete one is begun anew by "continue", taken as it is by "finish", which refuses a longer one,
        and by "keep", which does not. "replace" begins anew whatever is there.
        """
        self.path = path
        self.records: dict[int, Record] = {}  # by index
        self._file = _locked(path)
        try:
            if existing != "replace" and path.stat().st_size > 0:
                self._take_over(identity, wanted, existing)
            if not self.records:
                self._file.truncate(0)
                self._write({"header": dict(identity)})
        except BaseException:
            self._file.close()
            raise

    def _take_over(self, identity: Mapping[str, Any], wanted: int, existing: Existing) -> None:
        header, records, whole = _read_lines(self.path)
        if header is None:
            if whole or records:
                raise ValueError(f"{self.path} exists and does not hold results: name another file")
            return  # cut short within its first line
        different = [key for key in identity if header.get(key) != identity[key]]
        if different:
            raise ValueError(
                f"{self.path} holds results of other settings ({', '.join(different)}): name another file, or add "
                "--overwrite to replace it"
            )
        if len(records) > wanted and existing != "keep":
            raise ValueError(
                f"{self.path} holds {len(records)} episodes, more than the {wanted} asked for: name another file, or "
                "add --overwrite to replace it"
            )
        if existing != "continue" or any(index not in records for index in range(wanted)):
            os.truncate(self.path, whole)
            self.records = records

    def add(self, record: Record) -> None:
        self.records[record["index"]] = record
        self._write(record)

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, allow_nan=False) + "\n")
        self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._file.close()

    def sort(self) -> None:
        """Write the records in the order of their index, so that equal evaluations leave equal files."""
        self._file.close()
        lines = [json.dumps(self.records[index], allow_nan=False) for index in sorted(self.records)]
        with self.path.open(encoding="utf-8") as file:
            header = file.readline()
        write_text(self.path, header + "".join(line + "\n" for line in lines))


def _locked(path: Path) -> IO[str]:
    """The file, open to be added to, which keeps other processes from it for as long as it is open."""
    make_folder(path.parent)
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"results cannot be written to {path}: {error.strerror or error}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ValueError(f"another evaluation is writing to {path}: wait for it, or name another file") from None
    return file


def _read_lines(path: Path) -> tuple[dict[str, Any] | None, dict[int, Record], int]:
    """(header, records by index, bytes that hold whole lines) of a journal whose last line may be cut short."""
    header, records, whole = None, {}, 0
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"results file {path} cannot be read: {error.strerror or error}") from None
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and isinstance(entry.get("header"), dict):
            header = entry["header"]
        elif isinstance(entry, dict) and isinstance(entry.get("index"), int):
            records[entry["index"]] = entry
        else:
            raise ValueError(f"results file {path}, line {number} is not the record of an episode: is it damaged?")
        whole += len(line)
    return header, records, whole


def load_records(path: str | Path) -> list[Record]:
    """The judged episodes in a .jsonl journal or in the .json file of an evaluation; broken ones are left out."""
    path = Path(path)
    foreign = ValueError(f"{path} does not hold results: give the .jsonl or .json that `eval --json` wrote")
    if path.suffix == ".jsonl":
        records = list(_read_lines(path)[1].values())
    else:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            records = data["per_episode"]
        except OSError as error:
            raise ValueError(f"results file {path} cannot be read: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError):
            raise foreign from None
    if not isinstance(records, list) or not all(
        isinstance(record, dict) and ("error" in record or isinstance(record.get("episode"), str)) for record in records
    ):
        raise foreign
    judged = [record for record in records if not record.get("error")]
    if not judged:
        raise ValueError(f"{path} holds no judged episode: let its evaluation run first")
    return judged


def compare_files(a: str | Path, b: str | Path) -> tuple[list[Difference], int, int]:
    """(differences b - a, episodes only in a, episodes only in b). Episodes are matched by what they ask."""
    first = {record["episode"]: record for record in load_records(a)}
    second = {record["episode"]: record for record in load_records(b)}
    common = [key for key in first if key in second]
    if not common:
        raise ValueError(
            f"{a} and {b} have no episode in common: evaluate both with the same task, scenes, robot, seed and distance"
        )
    differences = paired_comparison([first[key] for key in common], [second[key] for key in common])
    return differences, len(first) - len(common), len(second) - len(common)
