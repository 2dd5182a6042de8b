"""Put a trained network among those that come along: `python benchmarks/bundle.py runs/nano/model nano`.

Weights become half precision, which halves the file; the folder's README.md, its card, is written by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from nav_foundation.model.checkpoint import from_pretrained, save_pretrained  # noqa: E402
from nav_foundation.model.folder import BUNDLED, WEIGHTS, read_config  # noqa: E402

LARGEST = 12e6  # bytes


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path, help="the folder `model` of a training")
    parser.add_argument("name", help="by which it will be found")
    options = parser.parse_args(arguments)
    told = read_config(options.network).get("provenance", {})
    folder = BUNDLED / options.name
    save_pretrained(from_pretrained(options.network), folder, told, torch.float16)
    size = (folder / WEIGHTS).stat().st_size
    print(f"{folder.relative_to(ROOT)}: {size / 1e6:.1f} MB")
    if size > LARGEST:
        raise SystemExit(f"that is more than {LARGEST / 1e6:g} MB, which is what may come along")


if __name__ == "__main__":
    main()
