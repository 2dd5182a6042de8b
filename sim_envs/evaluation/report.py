"""A report as one HTML file that needs nothing else: numbers, maps, film strips and the video."""

from __future__ import annotations

import base64
import html
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nav_foundation.files import make_folder, write_text
from nav_foundation.html_page import html_page
from nav_foundation.robot import load_robot
from sim_envs.evaluation.drawing import draw_map
from sim_envs.evaluation.evaluate import EpisodeSource, Evaluation, counted
from sim_envs.evaluation.recording import Recording, decode, record_episodes
from sim_envs.evaluation.results import Record
from sim_envs.evaluation.tables import LABELS
from sim_envs.evaluation.video import write_video
from sim_envs.metrics import Estimate

SHOWN = 6  # episodes of an evaluation that get pictures
STRIP = 6  # pictures of a film strip
_MAP_SIZE = (720, 560)
_THUMB = (320, 240)
_COLUMNS = (
    "success", "spl", "soft_spl", "distance_to_goal", "path_length", "shortest", "collisions", "ndtw", "coverage",
    "time",
)
_LEGEND = """<div class="legend quiet"><span><i style="background:#2563eb"></i>driven</span>
<span><i style="background:#2ea05a"></i>shortest way, or the way described</span>
<span><i style="background:#dc3c32"></i>goal</span><span><i class="start"></i>start</span></div>"""
_EMBEDDED_VIDEO = 24_000_000  # bytes; a larger one stays a file beside the page


@dataclass(frozen=True)
class Section:
    """One evaluation and the episodes of it that are shown."""

    evaluation: Evaluation
    recordings: tuple[Recording, ...]


def report_evaluation(evaluation: Evaluation, folder: Path, workers: int = 1) -> Path:
    """Drive some episodes again for their pictures, and write the report; returns the page's path."""
    source = EpisodeSource.of(evaluation.settings, load_robot(evaluation.settings.robot))
    recordings = record_episodes(source, telling_episodes(evaluation.records, SHOWN), workers)
    return write_report(folder, f"Evaluation: {evaluation.title}", [Section(evaluation, tuple(recordings))])


def telling_episodes(records: Sequence[Record], count: int) -> list[int]:
    """Indices of episodes worth looking at: failures for up to half of them, successes for the rest."""
    failed = [record["index"] for record in records if not record["success"]]
    succeeded = [record["index"] for record in records if record["success"]]
    bad = failed[: max(count // 2, count - len(succeeded))]
    return bad + succeeded[: count - len(bad)]


def write_report(folder: Path, title: str, sections: Sequence[Section]) -> Path:
    """`report.html`, `video.mp4`, `pictures/` with every shown map and film strip; where rerun is, `drives.rrd`."""
    make_folder(folder)
    recordings = [recording for section in sections for recording in section.recordings]
    video = folder / "video.mp4"
    write_video(video, recordings)
    _save_pictures(folder / "pictures", recordings)
    if importlib.util.find_spec("rerun"):  # the extra `viz`
        from sim_envs.evaluation.rerun_log import write_rerun

        write_rerun(folder / "drives.rrd", recordings)
    parts = [_LEGEND, *([_overview(sections)] if len(sections) > 1 else [])]
    parts.append(_video(video))
    parts.extend(_section(section, number) for number, section in enumerate(sections))
    path = folder / "report.html"
    write_text(path, html_page(title, "\n".join(parts)))
    return path


def _save_pictures(folder: Path, recordings: Sequence[Recording]) -> None:
    make_folder(folder)
    for old in folder.glob("[0-9][0-9]-*.png"):
        old.unlink()  # of a former report: they would be taken for this one's
    for number, recording in enumerate(recordings):
        name = f"{number:02d}-{recording.policy}-{recording.episode.task}"
        _save(folder / f"{name}-map.png", draw_map(recording, *_MAP_SIZE))
        _save(folder / f"{name}-strip.png", film_strip(recording))


def film_strip(recording: Recording) -> np.ndarray:
    """[H, W, 3] uint8: moments of a drive, side by side."""
    moments = [decode(picture) for picture in _moments(recording)]
    return np.concatenate([cv2.resize(moment, _THUMB, interpolation=cv2.INTER_AREA) for moment in moments], axis=1)


def _moments(recording: Recording) -> list[bytes]:
    views = recording.views
    at = np.unique(np.linspace(0, len(views) - 1, min(STRIP, len(views))).round().astype(int))
    return [views[k].picture for k in at]


# --- parts of the page --------------------------------------------------------------------------------------------


def _overview(sections: Sequence[Section]) -> str:
    rows = []
    for number, section in enumerate(sections):
        evaluation = section.evaluation
        summary = evaluation.summary
        cells = [
            f'<a href="#s{number}">{html.escape(evaluation.settings.policy)}</a>', html.escape(evaluation.tasks),
            html.escape(evaluation.where), str(len(evaluation.records)),
            *(_with_interval(summary[name]) for name in ("success", "spl", "soft_spl", "collisions")),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(
        f"<th>{name}</th>"
        for name in ("policy", "task", "where", "episodes", "success", "SPL", "SoftSPL", "collisions")
    )
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<section><h2>Overview</h2><div class="scroll"><table class="overview">{body}</table></div></section>'


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    return f'{estimate.mean:.2f} <span class="quiet">{estimate.low:.2f}–{estimate.high:.2f}</span>'


def _video(path: Path) -> str:
    large = path.stat().st_size > _EMBEDDED_VIDEO
    source = path.name if large else f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
    player = f'<video controls muted playsinline preload="metadata" src="{source}"></video>'
    return f"<section><h2>Video</h2>{player}</section>"


def _section(section: Section, number: int) -> str:
    evaluation = section.evaluation
    cards = "".join(_card(name, estimate) for name, estimate in evaluation.summary.items() if estimate is not None)
    shown = "".join(_episode(recording) for recording in section.recordings)
    notes = html.escape(evaluation.notes).replace("\n", "<br>")
    return (
        f'<section id="s{number}"><h2>{html.escape(evaluation.title)}</h2><p class="quiet">{notes}. '
        f"Means over episodes with 95 % intervals.</p>"
        f'<div class="cards">{cards}</div>{shown}{_table(evaluation.records)}</section>'
    )


def _card(name: str, estimate: Estimate) -> str:
    bar = ""
    if name in ("success", "spl", "soft_spl", "ndtw", "coverage"):
        left, width = 100 * estimate.low, 100 * (estimate.high - estimate.low)
        bar = (
            f'<div class="bar"><i style="left:{left:.1f}%;width:{max(width, 1):.1f}%"></i>'
            f'<b style="left:{100 * estimate.mean:.1f}%"></b></div>'
        )
    return (
        f'<div class="card"><span class="quiet">{LABELS[name]}</span><strong>{estimate.mean:.2f}</strong>'
        f'<span class="quiet">{estimate.low:.2f} – {estimate.high:.2f}</span>{bar}</div>'
    )


def _episode(recording: Recording) -> str:
    score, episode = recording.score, recording.episode
    verdict = '<span class="good">success</span>' if score.success else '<span class="bad">failed</span>'
    facts = [f"SPL {score.spl:.2f}", f"{score.path_length:.1f} m driven, shortest {recording.trace.shortest:.1f} m",
             f"{score.time:.0f} s", f"{score.collisions} collision{'' if score.collisions == 1 else 's'}"]
    if score.distance_to_goal is not None:
        facts.insert(1, f"stopped {score.distance_to_goal:.2f} m from the goal")
    if score.ndtw is not None:
        facts.append(f"nDTW {score.ndtw:.2f}")
    if score.coverage is not None:
        facts.append(f"{100 * score.coverage:.0f} % seen")
    goal = ""
    if recording.goal_picture is not None:
        picture = _image(recording.goal_picture, "jpeg", "goal")
        goal = f'<figure class="goal">{picture}<figcaption>goal</figcaption></figure>'
    thumbs = "".join(_image(_small(picture), "jpeg", "what the robot saw") for picture in _moments(recording))
    plan = _image(_png(draw_map(recording, *_MAP_SIZE)), "png", "map of the drive")
    return (
        f'<article><div class="map">{plan}</div><div class="facts"><h3>Episode {recording.index} {verdict}</h3>'
        f'<p class="ask">{html.escape(recording.goal)}</p><div class="pair">'
        f'<p class="quiet">{html.escape(str(episode.scene))}<br>{"<br>".join(facts)}</p>{goal}</div>'
        f'<div class="strip">{thumbs}</div></div></article>'
    )


def _table(records: Sequence[Record]) -> str:
    columns = [name for name in _COLUMNS if any(record.get(name) is not None for record in records)]
    head = "".join(f"<th>{LABELS.get(name, 'shortest (m)')}</th>" for name in columns)
    rows = []
    for record in records:
        cells = "".join(f"<td>{_number(name, record.get(name))}</td>" for name in columns)
        rows.append(f"<tr><td>{record['index']}</td><td>{html.escape(record['scene'])}</td>{cells}</tr>")
    return (
        f"<details{' open' if len(records) <= 20 else ''}><summary>All {counted(len(records))}</summary>"
        f'<div class="scroll"><table class="sortable"><thead><tr><th>#</th><th>scene</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name == "success":
        return '<span class="good">1</span>' if value else '<span class="bad">0</span>'
    return f"{value:d}" if isinstance(value, int) else f"{value:.2f}"


def _image(data: bytes, kind: str, alt: str) -> str:
    return f'<img loading="lazy" alt="{alt}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def _small(picture: bytes) -> bytes:
    small = cv2.resize(decode(picture), _THUMB, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return bytes(encoded)


def _png(picture: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1])


def _save(path: Path, picture: np.ndarray) -> None:
    try:
        path.write_bytes(_png(picture))
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from None
