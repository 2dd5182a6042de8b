"""An inspection as a page: index.html and its pictures in one folder, to be opened without a network."""

from __future__ import annotations

import html
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nav_foundation.data.dataset import EpisodeDataset
from nav_foundation.data.inspection import plots
from nav_foundation.data.inspection.finding import Finding
from nav_foundation.data.inspection.future import AHEAD
from nav_foundation.data.inspection.gallery import sample_frames, save_frame, save_strip, shown_findings
from nav_foundation.data.inspection.inspect import Inspection
from nav_foundation.data.inspection.look import has_numbers
from nav_foundation.data.inspection.summary import SPEED_BINS, TURN_BINS, EpisodeRow, counted
from nav_foundation.data.schema import STATE, DataError
from nav_foundation.geometry import to_frame
from nav_foundation.html_page import html_page
from nav_foundation.types import Pose2

DRAWN = 200  # trajectories in the plot of all
GROUPS = 5  # further plots, of tasks or robots
SINGLE = 12  # drives with a plot of their own
ROWS = 500  # of the table of episodes
SPELLED = 200  # findings that are written out
_STYLE = """<style>
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 14px; margin: 12px 0; }
.plots.wide { grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); }
.plots figure, .finding { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 10px; }
.plots figure img { width: 100%; display: block; border-radius: 8px; }
.plots figcaption { padding-top: 6px; overflow-wrap: anywhere; }
svg.plot { width: 100%; height: auto; display: block; }
svg.plot text { font: 12px system-ui, sans-serif; fill: var(--quiet); }
svg.plot { color: var(--quiet); }
.finding { margin-bottom: 12px; padding: 14px; }
.finding img { max-width: 100%; border-radius: 8px; display: block; margin-top: 8px; }
.facts2 { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; overflow-wrap: anywhere; }
.facts2 dt { color: var(--quiet); } .facts2 dd { margin: 0; }
.episodes :nth-child(-n+4) { text-align: left; } .episodes :last-child { text-align: left; }
.now, .then { display: inline-block; width: 22px; height: 8px; border-radius: 4px; margin: 0 4px 0 0; }
.now { background: #22c55e; } .then { background: #3b82f6; margin-left: 10px; }
</style>"""


def write_report(inspection: Inspection, folder: Path) -> Path:
    """Write the page; returns its path."""
    pictures = folder / "pictures"
    try:
        pictures.mkdir(parents=True, exist_ok=True)
        for old in (*pictures.glob("frame-*.jpg"), *pictures.glob("finding-*.jpg")):
            old.unlink()  # of a former report: they would be taken for this one's
        name = inspection.dataset.folder.resolve().name
        parts = [_STYLE, _top(inspection), _suspicions(inspection, pictures)]
        if inspection.rows and has_numbers(inspection.dataset.features, STATE, 3):
            parts += [_trajectories(inspection), _speeds(inspection)]
        parts += [_frames(inspection.dataset, pictures), _table(inspection)]
        page = folder / "index.html"
        page.write_text(html_page(f"Dataset {name}", "\n".join(parts)), encoding="utf-8")
        (folder / "inspection.json").write_text(json.dumps(inspection.as_json(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"--report {folder} cannot be written: {error.strerror or error}") from None
    return page


def _top(inspection: Inspection) -> str:
    summary = inspection.summary
    suspicious = len({finding.episode for finding in inspection.findings})
    cards = [
        ("episodes", f"{summary.episodes:,}"), ("frames", f"{summary.frames:,}"),
        ("hours", f"{summary.seconds / 3600:,.2f}"), ("metres", f"{summary.metres:,.0f}"),
        ("standing", f"{summary.standing / max(summary.seconds, 1e-9):.0%}"),
        ("suspicious", f'<span class="{"bad" if suspicious else "good"}">{suspicious:,}</span>'),
    ]
    shown = "".join(f'<div class="card"><span class="quiet">{name}</span><strong>{value}</strong></div>'
                    for name, value in cards)
    facts = dict(inspection.about)
    if summary.steps:
        low, middle, high = np.quantile(summary.steps, [0.05, 0.5, 0.95])
        facts["cruising step"] = f"{middle:.3f} m per frame ({low:.3f} to {high:.3f} from episode to episode)"
    for name in ("robots", "tasks", "drivers", "sources", "scenes"):
        facts[name] = counted(getattr(summary, name)) or "–"
    listed = "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
    notes = "".join(f'<p class="quiet">{html.escape(note)}</p>' for note in inspection.notes)
    damaged = "".join(f'<p class="bad">Damaged: {html.escape(reason)}</p>' for reason in inspection.damaged[:50])
    return f'<div class="cards">{shown}</div><dl class="facts2">{listed}</dl>{damaged}{notes}'


# --- suspicions ---------------------------------------------------------------------------------------------------


def _suspicions(inspection: Inspection, pictures: Path) -> str:
    findings = inspection.findings
    if not findings:
        verdict = "Nothing suspicious was found." if inspection.rows else "It has no episodes that can be read."
        return f"<h2>Suspicions</h2><p>{verdict}</p>"
    kinds = Counter(finding.kind for finding in findings)
    lead = ", ".join(f"{html.escape(kind)} {count:,}" for kind, count in kinds.most_common())
    cards = []
    for number, finding in enumerate(shown_findings(findings)):
        file = pictures / f"finding-{number:02d}.jpg"
        strip = (f'<img src="pictures/{file.name}" alt="frames around frame {finding.frame}">'
                 if save_strip(inspection.dataset, finding, file) else "")
        what = f"<h3>{html.escape(finding.kind)}</h3>{html.escape(finding.text)}{strip}"
        cards.append(f'<div class="finding">{what}</div>')
    items = "".join(f"<li>{html.escape(finding.text)}</li>" for finding in findings[:SPELLED])
    rest = len(findings) - SPELLED
    more = f'<p class="quiet">{rest:,} more are in inspection.json.</p>' if rest > 0 else ""
    return (f'<h2>Suspicions</h2><p>{lead}. Some of every kind, with the frames around them:</p>{"".join(cards)}'
            f"<details><summary>All in words</summary><ul>{items}</ul>{more}</details>")


# --- plots --------------------------------------------------------------------------------------------------------


def _trajectories(inspection: Inspection) -> str:
    rows, dataset = inspection.rows, inspection.dataset
    parts = [_figure(dataset, "all drives", rows)]
    by_task, by_robot = _groups(rows, "task"), _groups(rows, "robot")
    if groups := by_task if 1 < len(by_task) <= 2 * GROUPS else by_robot:
        parts += [_figure(dataset, name, members) for name, members in groups[:GROUPS]] if len(groups) > 1 else []
    marks: dict[int, list[int]] = defaultdict(list)
    for finding in inspection.findings:
        marks[finding.episode].append(finding.frame)
    suspicious = [row for row in rows if row.number in marks][: SINGLE // 2]
    others = _evenly([row for row in rows if row.number not in marks], SINGLE - len(suspicious))
    singles = []
    for row in sorted([*suspicious, *others], key=lambda row: row.number):
        about = f"episode {row.number}: {row.task}, {row.metres:.1f} m in {row.seconds:.0f} s"
        plot = plots.trajectories([_from_start(dataset, row.number)], [about], [marks[row.number]], (280, 220),
                                  [plots.colour_of(row.number)])
        singles.append(f'<figure>{plot}<figcaption>{html.escape(about)}</figcaption></figure>')
    return ('<h2>Trajectories</h2><p class="quiet">Seen from above; each drive begins at its dot, looking to the '
            f'right. Suspicious moments are ringed in red.</p><div class="plots wide">{"".join(parts)}</div>'
            f'<div class="plots">{"".join(singles)}</div>')


def _figure(dataset: EpisodeDataset, name: str, rows: Sequence[EpisodeRow]) -> str:
    drawn = _evenly(rows, DRAWN)
    plot = plots.trajectories(
        [_from_start(dataset, row.number) for row in drawn], [f"episode {row.number}, {row.task}" for row in drawn],
        [()] * len(drawn), (460, 360), [plots.colour_of(row.number) for row in drawn],
    )
    which = f"{len(rows):,}" if len(drawn) == len(rows) else f"{len(drawn):,} of {len(rows):,}, evenly spread"
    return f"<figure>{plot}<figcaption>{html.escape(name)} ({which})</figcaption></figure>"


def _groups(rows: Sequence[EpisodeRow], what: str) -> list[tuple[str, list[EpisodeRow]]]:
    """The largest first."""
    found: dict[str, list[EpisodeRow]] = defaultdict(list)
    for row in rows:
        found[getattr(row, what)].append(row)
    return sorted(found.items(), key=lambda item: -len(item[1]))


def _evenly(rows: Sequence[EpisodeRow], count: int) -> list[EpisodeRow]:
    if len(rows) <= count:
        return list(rows)
    return [rows[k] for k in np.linspace(0, len(rows) - 1, count).round().astype(int)]


def _from_start(dataset: EpisodeDataset, episode: int) -> np.ndarray:
    poses = dataset.poses(episode)
    return to_frame(Pose2(*map(float, poses[0])), poses[:, :2])


def _speeds(inspection: Inspection) -> str:
    summary = inspection.summary
    return (f'<h2>Speeds and turns</h2><div class="plots wide">'
            f"<figure>{plots.histogram(summary.speeds, SPEED_BINS, 'm/s')}<figcaption>speed ahead, share of frames"
            f"</figcaption></figure><figure>{plots.histogram(summary.turns, TURN_BINS, 'rad/s')}"
            f"<figcaption>turning rate, left is positive</figcaption></figure></div>")


# --- frames and episodes ------------------------------------------------------------------------------------------


def _frames(dataset: EpisodeDataset, pictures: Path) -> str:
    figures, reasons = [], []
    for number, (episode, frame) in enumerate(sample_frames(dataset)):
        file = pictures / f"frame-{number:02d}.jpg"
        try:
            why = save_frame(dataset, episode, frame, file)
        except DataError:
            continue  # told among the damaged
        reasons.append(why)
        about = f"episode {episode}, frame {frame}"
        image = f'<img src="pictures/{file.name}" alt="{about}">'
        figures.append(f"<figure>{image}<figcaption>{about}</figcaption></figure>")
    if not figures:
        return ""
    lead = (f'<span class="now"></span>now<span class="then"></span>{AHEAD:.0f} s later, as wide as the robot, drawn '
            "on the floor also where something stands before it.")
    missing = "".join(f"<br>{count} without the way ahead: {html.escape(why)}."
                      for why, count in Counter(filter(None, reasons)).items())
    return (f'<h2>Frames, and where the robot drives next</h2><p class="quiet">{lead if not all(reasons) else ""}'
            f'{missing}</p><div class="plots">{"".join(figures)}</div>')


def _table(inspection: Inspection) -> str:
    by_episode: dict[int, list[Finding]] = defaultdict(list)
    for finding in inspection.findings:
        by_episode[finding.episode].append(finding)
    suspicious = [row for row in inspection.rows if row.number in by_episode]
    shown = _evenly(suspicious, ROWS)
    shown += _evenly([row for row in inspection.rows if row.number not in by_episode], ROWS - len(shown))
    if not shown:
        return ""
    lines = []
    for row in sorted(shown, key=lambda row: row.number):
        kinds = dict.fromkeys(finding.kind for finding in by_episode[row.number])
        cells = [str(row.number), _short(row.task), _short(row.robot), _short(row.scene), f"{row.frames:,}",
                 f"{row.seconds:.1f}", f"{row.metres:.1f}",
                 "–" if row.cruising_step is None else f"{row.cruising_step:.3f}"]
        mark = f'<td class="bad">{html.escape(", ".join(kinds))}</td>' if kinds else "<td>–</td>"
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + mark + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("episode", "task", "robot", "scene", "frames", "s", "m", "step (m)",
                                                   "suspicion"))
    which = "" if len(shown) == len(inspection.rows) else (
        f'<p class="quiet">{len(shown):,} of {len(inspection.rows):,} episodes: suspicious ones first, others evenly '
        "spread.</p>")
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<h2>Episodes</h2>{which}<div class="scroll"><table class="sortable episodes">{table}</table></div>'


def _short(text: str) -> str:
    return html.escape(text if len(text) <= 40 else text[:39] + "…")
