"""From what a user calls a model to a policy that can be asked. Finding one needs no torch, loading it does."""

from __future__ import annotations

from pathlib import Path

from nav_foundation.model.folder import ANY_CHOICE, ROBOT_HOURS, is_ours, named, read_config
from nav_foundation.model.published.config import is_published
from policies.baselines import BearingPolicy
from policies.policy import Policy


def find_model(name: str) -> Path | None:
    """The folder of a model by its name, if it comes along, or by its path; None where there is none."""
    folder = named(name)
    return folder if is_ours(folder) or is_published(folder) else None


def model_folder(name: str) -> Path:
    folder = find_model(name)
    if folder is None:
        what = "holds no model" if Path(name).exists() else "does not exist"
        raise ValueError(f"model {name} {what}: {ANY_CHOICE}")
    return folder


BEARING = "bearing"  # no model: straight to a place, to try a robot out with


def seen_robots(name: str) -> bool:
    """Whether a model was trained with drives of real robots; one that does not say so was not."""
    if name == BEARING:
        return True
    folder = model_folder(name)
    return not is_ours(folder) or bool(read_config(folder).get("provenance", {}).get(ROBOT_HOURS))


def load_policy(name: str, device: str = "cpu") -> Policy:
    """The policy of a model, ours or a published one, on a device of torch; or the one that drives by bearing."""
    if name == BEARING:
        return BearingPolicy()
    folder = model_folder(name)
    if device != "cpu":
        check_device(device)
    if is_ours(folder):
        from nav_foundation.model.checkpoint import from_pretrained
        from policies.learned import LearnedPolicy

        return LearnedPolicy(from_pretrained(folder).to(device))
    from policies.published import PublishedPolicy

    return PublishedPolicy.from_folder(folder, device)


def check_device(name: str) -> None:
    """Refuse a device that torch does not have here."""
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        why = " ".join(str(error).split()).split(".")[0]
        raise ValueError(f"device {name!r} cannot be used here ({why}): use cpu, or install what it needs") from None
