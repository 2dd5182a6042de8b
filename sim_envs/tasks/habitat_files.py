"""Files of episodes in Habitat's `.json.gz` schema: PointNav, (Instance)ImageNav, ObjectNav, R2R, RxR and ours."""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim_envs.simulator import SceneError, SceneRef
from sim_envs.tasks.episode import Episode, EpisodeError, TaskName
from sim_envs.tasks.habitat_schema import OURS, Goals, Record, read_episode, task_of, write_episode
from sim_envs.tasks.scene_layouts import how_to_find

_PUBLIC_PREFIX = "data/scene_datasets/"  # where public files imagine their scenes
_CONTENT = "{data_path}/content/{scene}.json.gz"


def load_episodes(
    path: str | Path, task: TaskName | None = None, scenes_dir: str | Path | None = None, limit: int | None = None,
    language: str | None = None,
) -> list[Episode]:
    """Read a file of episodes; where it is an empty split file, the files of its `content` folder.

    `task` says how to read a file whose schema serves two tasks ("image-goal" for a PointNav file) and is checked
    otherwise. `scenes_dir` is the folder that holds the scenes of public files. `language` keeps the instructions whose
    language tag begins so ("en"). The distance of public episodes that state none is NaN.
    """
    episodes: list[Episode] = []
    scenes: dict[str, SceneRef] = {}
    for file, top in _files(Path(path)):
        for record in _episode_records(file, top):
            if limit is not None and len(episodes) >= limit:
                return _with_unique_ids(episodes)
            if not _speaks(record, language):
                continue
            name = record.text("scene_id")
            if name not in scenes:
                scenes[name] = _scene(record, name, scenes_dir)
            episodes.append(_read(record, top, task, scenes[name]))
    return _with_unique_ids(episodes)


def save_episodes(path: str | Path, episodes: Sequence[Episode]) -> None:
    """Write episodes so that `load_episodes` returns the same ones. The file appears whole or not at all."""
    path = Path(path)
    if not path.name.endswith(".json.gz"):
        raise EpisodeError(f"episodes cannot be saved as {path}: end the name in .json.gz")
    name, count = Counter(episode.episode_id for episode in episodes).most_common(1)[0] if episodes else ("", 0)
    if count > 1:
        raise EpisodeError(f"{count} episodes are called {name!r}: results are kept by that name, so make it unique")
    goals_by_category: Goals = {}
    top: dict[str, Any] = {"episodes": [write_episode(episode, goals_by_category) for episode in episodes]}
    if goals_by_category:
        categories = sorted({episode.category for episode in episodes if episode.category})
        numbers = {category: number for number, category in enumerate(categories)}
        top["goals_by_category"] = goals_by_category
        top["category_to_task_category_id"] = top["category_to_scene_annotation_category_id"] = numbers
    _tokenize(top)
    # mtime 0: the same episodes make the same bytes.
    _write_atomically(path, gzip.compress(json.dumps(top, allow_nan=False).encode(), compresslevel=6, mtime=0))


def _tokenize(top: dict[str, Any]) -> None:
    """Number the words of instructions, as R2R files do."""
    instructions = [record["instruction"] for record in top["episodes"] if "instruction" in record]
    if not instructions:
        return
    split = [re.findall(r"[\w'-]+", entry["instruction_text"].lower()) for entry in instructions]
    words = ["<pad>", "<unk>", *sorted({word for text in split for word in text})]
    numbers = {word: number for number, word in enumerate(words)}
    top["instruction_vocab"] = {"word_list": words}
    for entry, text in zip(instructions, split):
        entry["instruction_tokens"] = [numbers[word] for word in text]


def _write_atomically(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    except OSError as error:
        raise EpisodeError(f"episodes cannot be saved as {path}: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise EpisodeError(f"episodes cannot be saved as {path}: {error.strerror or error}") from None


# --- reading ------------------------------------------------------------------------------------------------------


def _files(path: Path) -> Iterator[tuple[Path, Record]]:
    top = _read_json(path)
    if top.data.get("episodes"):
        yield path, top
        return
    top.records("episodes")  # it must be there, even if empty
    pattern = top.data.get("content_scenes_path", _CONTENT)
    if not isinstance(pattern, str) or "{scene}" not in pattern:
        raise top.error("content_scenes_path", f"is {pattern!r}: it takes a path with {{scene}} in it")
    whole = Path(pattern.replace("{data_path}", str(path.parent)).replace("{scene}", "*"))
    for file in sorted(whole.parent.glob(whole.name)):
        yield file, _read_json(file)


def _read_json(path: Path) -> Record:
    try:
        data = path.read_bytes()
        top = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except FileNotFoundError:
        raise EpisodeError(f"episode file {path} does not exist") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise EpisodeError(f"episode file {path} is cut short or damaged: fetch or generate it again") from None
    except OSError as error:
        raise EpisodeError(f"episode file {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise EpisodeError(f"episode file {path} does not hold JSON ({reason}): is it a Habitat .json.gz?") from None
    if not isinstance(top, dict):
        raise EpisodeError(f"episode file {path} holds {type(top).__name__}: it takes an object with a list 'episodes'")
    return Record(top, f"episode file {path}")


def _episode_records(file: Path, top: Record) -> Iterator[Record]:
    for number, record in enumerate(top.records("episodes")):
        name = record.data.get("episode_id", f"number {number}")
        yield Record(record.data, f"episode file {file}, episode {name}")


def _speaks(record: Record, language: str | None) -> bool:
    if language is None or "instruction" not in record.data:
        return True
    return str(record.record("instruction").data.get("language", "en")).startswith(language)


def _scene(record: Record, name: str, scenes_dir: str | Path | None) -> SceneRef:
    if re.match(r"(house|city):", name):
        try:
            return SceneRef.parse(name)
        except SceneError as error:
            raise EpisodeError(f"{record.where}: scene_id: {error}") from None
    below = name.removeprefix(_PUBLIC_PREFIX)
    path = Path(name) if scenes_dir is None else Path(scenes_dir) / below
    if not path.is_file():
        hint = how_to_find(below, None if scenes_dir is None else Path(scenes_dir))
        root = "the working folder" if scenes_dir is None else str(scenes_dir)
        raise record.error(
            "scene_id", f"needs the scene file {path}, which does not exist (looked in {root}): {hint}"
        )
    return SceneRef("file", path=str(path))


def _read(record: Record, top: Record, task: TaskName | None, scene: SceneRef) -> Episode:
    found = task_of(record)
    public = OURS not in (record.data.get("info") or {})
    if task is not None and task != found:
        if not (public and task == "image-goal" and found == "point-goal"):
            raise EpisodeError(f"{record.where} is a task of {found}, and {task} was asked for: read it as {found}")
        found = task
    try:
        return read_episode(record, top, found, scene)
    except ValueError as error:  # a record's own complaints say where they are, those of the core types do not
        named = str(error).startswith(record.where) or str(error).startswith(top.where)
        raise EpisodeError(str(error) if named else f"{record.where}: {error}") from None


def _with_unique_ids(episodes: list[Episode]) -> list[Episode]:
    """Public ids repeat from scene to scene; results are kept by id, so those that repeat get their scene's name."""
    counts = Counter(episode.episode_id for episode in episodes)
    if len(counts) == len(episodes):
        return episodes
    named = [
        replace(e, episode_id=f"{Path(e.scene.path).name.split('.')[0]}/{e.episode_id}")
        if counts[e.episode_id] > 1 and e.scene.kind == "file" else e
        for e in episodes
    ]
    seen: Counter[str] = Counter()
    unique = []
    for episode in named:
        seen[episode.episode_id] += 1
        again = seen[episode.episode_id]
        unique.append(episode if again == 1 else replace(episode, episode_id=f"{episode.episode_id}#{again}"))
    return unique
