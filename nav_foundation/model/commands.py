"""The verb `import-checkpoint`: published weights into a folder of ours. Reading its --help loads no torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Verb = Callable[..., argparse.ArgumentParser]  # cli._verb: (verbs, name, run, about, examples) -> its parser


def add_import_checkpoint(verbs: Any, verb: Verb) -> None:
    parser = verb(verbs, "import-checkpoint", _import_checkpoint, "make published weights of ViNT or NoMaD usable", """\
  nav-foundation import-checkpoint vint.pth --kind vint --metric-spacing 0.25 --out models/vint
  nav-foundation import-checkpoint nomad.pth --kind nomad --metric-spacing 0.25 --out models/nomad
  nav-foundation eval --policy models/vint --task image-goal

Their waypoints and distances count steps, and a step is what the robot of the training data drove in 1/4 s. In metres:
recon 0.25, scand 0.38, tartan drive 0.72, go stanford 0.12, cory hall 0.06, seattle 0.35, sacson 0.255. Nothing that
the file holds is run.""")
    parser.add_argument("file", type=Path, metavar="FILE", help="a .pth: a state dict or a module")
    parser.add_argument("--kind", choices=("vint", "nomad"), metavar="KIND", required=True, help="vint or nomad")
    parser.add_argument("--metric-spacing", type=_metres, metavar="METRES", required=True, help="metres of one step")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="a folder to be made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was made here as well")


def _import_checkpoint(options: argparse.Namespace) -> None:
    from nav_foundation.config import to_mapping
    from nav_foundation.files import write_json
    from nav_foundation.model.published.load import import_checkpoint

    config = import_checkpoint(options.file, options.kind, options.metric_spacing, options.out)
    origin = f"{config.kind} from {config.provenance.file}, {config.metric_spacing:g} m to a step"
    print(f"{options.out}: {origin}")
    if options.json is not None:
        write_json(options.json, {"out": options.out, **to_mapping(config)})


def _metres(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes metres; got {text!r}") from None
