"""Results as plain text, for terminals."""

from __future__ import annotations

from collections.abc import Sequence

from sim_envs.metrics import Difference, Estimate

LABELS = {
    "success": "success", "spl": "SPL", "soft_spl": "SoftSPL", "distance_to_goal": "distance to goal (m)",
    "path_length": "path length (m)", "collisions": "collisions", "ndtw": "nDTW", "coverage": "coverage",
    "time": "time (s)", "oracle_success": "oracle success",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns wide enough for what they hold; the first one to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]

    def draw(line: list[str]) -> str:
        cells = [line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:], widths[1:]))]
        return "  ".join(cells).rstrip()

    return "\n".join([draw(lines[0]), "  ".join("-" * width for width in widths), *map(draw, lines[1:])])


def metrics_table(summary: dict[str, Estimate | None]) -> str:
    return table(
        ["metric", "mean", "95 % interval"],
        [[LABELS[name], f"{e.mean:.3f}", f"{e.low:.3f} to {e.high:.3f}"] for name, e in summary.items() if e],
    )


def comparison_table(differences: Sequence[Difference], a: str, b: str) -> str:
    return table(
        ["metric", f"A {a}", f"B {b}", "B - A", "95 % interval", "B higher", "B lower", "p"],
        [
            [
                LABELS[d.metric], f"{d.a:.3f}", f"{d.b:.3f}", f"{d.difference.mean:+.3f}",
                f"{d.difference.low:+.3f} to {d.difference.high:+.3f}", str(d.better), str(d.worse), f"{d.p_value:.2g}",
            ]
            for d in differences
        ],
    )
