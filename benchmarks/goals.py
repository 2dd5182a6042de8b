"""What a goal tells a network, by how far away it is: `python benchmarks/goals.py --policy nano --data runs/val`.

The same frames of drives that it has not learnt from, the same goals ahead: shown as pictures, told as places, or not
at all. Where a picture does no better than nothing the network does not understand it from there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from benchmarks.measuring import Row, append  # noqa: E402
from nav_foundation.model.checkpoint import from_pretrained  # noqa: E402
from nav_foundation.model.folder import named  # noqa: E402
from nav_foundation.model.goals import KINDS  # noqa: E402
from nav_foundation.training.batch import Batch  # noqa: E402
from nav_foundation.training.forward import frames_of, readouts_of  # noqa: E402
from nav_foundation.training.judging import waypoint_errors  # noqa: E402
from nav_foundation.training.ours import Ours  # noqa: E402
from nav_foundation.training.samples import Samples, loader  # noqa: E402

TOLD = {"picture": "image", "place": "point", "nothing": "none"}
BANDS = (0.5, 1.0, 2.0, 4.0, 8.0)  # m along the drive
_CLOSE = 0.05  # m; distances below are not told apart


@torch.inference_mode()
def errors(policy: Path, data: Sequence[str], batches: int) -> np.ndarray:
    """[N, 1 + 2 per way of telling]: metres to the goal; then of each way the mean m by which the plan is off, and the
    absolute log of the ratio of the distance to the true one."""
    model = from_pretrained(policy)
    samples = Samples(Ours(model.config), tuple(data), seed=1, light=0.0, flips=False)
    rows = []
    for batch in loader(samples, range(batches), 16, 0):
        frames = frames_of(model, batch)
        asked = (batch.kind == KINDS.index("image")) & (batch.drives > 0) & (batch.measured > 0) & (batch.located > 0)
        columns = [batch.distance[asked].numpy()]
        for kind in TOLD.values():
            decision = model.judge(readouts_of(model, told_as(batch, asked, kind), frames))
            ratio = decision.distance.clamp(min=_CLOSE).log() - batch.distance.clamp(min=_CLOSE).log()
            columns += [waypoint_errors(decision, batch)[asked.numpy()], ratio.abs()[asked].numpy()]
        rows.append(np.column_stack(columns))
    return np.concatenate(rows)


def told_as(batch: Batch, asked: torch.Tensor, kind: str) -> Batch:
    return replace(
        batch, kind=torch.where(asked, KINDS.index(kind), batch.kind), has_yaw=batch.has_yaw | asked,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=named, default="nano", help="a network (default nano)")
    parser.add_argument("--data", nargs="+", required=True, help="datasets of scenes that it has not seen")
    parser.add_argument("--batches", type=int, default=40, help="of 16 clips (default 40)")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    found = errors(options.policy, options.data, options.batches)
    rows = []
    for low, high in zip((0.0, *BANDS[:-1]), BANDS):
        band = found[(found[:, 0] >= low) & (found[:, 0] < high)]
        for number, way in enumerate(TOLD):
            plan, ratio = band[:, 1 + 2 * number], band[:, 2 + 2 * number]
            rows.append(Row(f"plan, {low:g}-{high:g} m, {way}", float(plan.mean()), "m", "",
                            f"{len(band)} goals; distance off by a factor of {np.exp(np.median(ratio)):.2f} (median)"))
    print("\n".join(map(str, rows)))
    if not options.no_save:
        append(options.results, f"What goals tell, {options.policy.name}", f"drives of {options.data}", rows)


if __name__ == "__main__":
    main()
