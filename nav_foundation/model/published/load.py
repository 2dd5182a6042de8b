"""Published weights into folders of ours and out of them again, strictly, without a pickle."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import nav_foundation
from nav_foundation.config import to_mapping
from nav_foundation.data.pickles import load_torch
from nav_foundation.data.shells import state_dict_of
from nav_foundation.files import make_folder, write_json
from nav_foundation.model.folder import CONFIG, WEIGHTS
from nav_foundation.model.published import nomad, vint
from nav_foundation.model.published.config import Kind, Provenance, PublishedConfig, read_config
from nav_foundation.model.published.nomad import NoMaD
from nav_foundation.model.published.vint import ViNT
from nav_foundation.preprocessing import CropAndShrink

# In the files, yet no part of the network: classifiers of the encoders, and the layer that the others were copied from.
_UNUSED = re.compile(r"(^|\.)(_fc|sa_layer)\.")


def build(kind: Kind) -> ViNT | NoMaD:
    return ViNT() if kind == "vint" else NoMaD()


def config_of(kind: Kind, metric_spacing: float, provenance: Provenance) -> PublishedConfig:
    """What is true of every published network of this kind; `metric_spacing` is m to a step."""
    facts = vint if kind == "vint" else nomad
    preprocessing = CropAndShrink(*facts.IMAGE)
    return PublishedConfig(kind, metric_spacing, facts.CONTEXT, facts.HORIZON, preprocessing, provenance)


def import_checkpoint(file: Path, kind: Kind, metric_spacing: float, out: Path) -> PublishedConfig:
    """Write a published .pth as `out`/model.safetensors and config.json; nothing that the file holds is run."""
    config = config_of(kind, metric_spacing, Provenance(file.name, _sha256(file), nav_foundation.__version__))
    if out.exists():
        raise ValueError(f"{out} is there already: give another --out")
    tensors = {name: _tensor(array) for name, array in state_dict_of(load_torch(file, shells=True), file).items()}
    network = build(kind)
    load_strictly(network, tensors, kind, str(file))
    make_folder(out.parent)
    part = out.with_name(f".{out.name}.part")  # no folder of that name is ever half written
    save_published(network, config, part)
    try:
        part.rename(out)
    except OSError as error:
        raise ValueError(f"{out} cannot be written: {error.strerror or error}") from None
    return config


def save_published(network: torch.nn.Module, config: PublishedConfig, folder: Path) -> None:
    """Write the weights and what is known about them; each file appears whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    make_folder(folder)
    draft = folder / f".{WEIGHTS}.draft"
    try:
        save_file(network.state_dict(), draft)
        draft.replace(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be written: {' '.join(str(error).split())}") from None
    write_json(folder / CONFIG, to_mapping(config))


def load_published(folder: Path) -> tuple[ViNT | NoMaD, PublishedConfig]:
    """The network of an imported folder, in evaluation mode on the CPU, and what is known about it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = read_config(folder)
    if config != config_of(config.kind, config.metric_spacing, config.provenance):
        raise ValueError(f"{folder / CONFIG} does not describe the published {config.kind}: import it again")
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} cannot be read: {' '.join(str(error).split())}") from None
    network = build(config.kind)
    load_strictly(network, tensors, config.kind, str(folder / WEIGHTS))
    return network.eval(), config


def load_strictly(network: torch.nn.Module, tensors: dict[str, Tensor], kind: str, where: str) -> None:
    """Load tensors under their published names; refuses in words whatever lacks, is too many or has another shape."""
    own = network.state_dict()
    given = {name: tensor for name, tensor in tensors.items() if name in own or not _UNUSED.search(name)}
    faults = []
    if missing := [name for name in own if name not in given]:
        faults.append(f"lacks {_some(missing)}")
    if unexpected := [name for name in given if name not in own]:
        faults.append(f"has {_some(unexpected)} besides")
    faults += [
        f"has {name} of shape {list(given[name].shape)}, not {list(own[name].shape)}"
        for name in own if name in given and given[name].shape != own[name].shape
    ][:3]
    if faults:
        raise ValueError(f"{where} is not the published {kind}: it {', '.join(faults)}; check the file and --kind")
    if broken := [name for name, tensor in given.items() if not tensor.isfinite().all()]:
        raise ValueError(f"{where} holds numbers that are not finite in {_some(broken)}: get the file again")
    network.load_state_dict(given, strict=True)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _tensor(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"tensors of {array.dtype} are not read: give a file of real numbers")
    return torch.from_numpy(np.array(array))  # a copy that may be written to


def _sha256(file: Path) -> str:
    try:
        with open(file, "rb") as data:
            digest = hashlib.sha256()
            while chunk := data.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}") from None
    return digest.hexdigest()
