"""Training: the same command on a CPU, a GPU or many. Kill it anywhere, and `resume` goes on to the same bits."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import nn
from tqdm import tqdm

from nav_foundation.commit import commit
from nav_foundation.config import to_mapping
from nav_foundation.model.folder import ROBOT_HOURS, read_config
from nav_foundation.model.published.config import KINDS
from nav_foundation.training.course import Batch, Course, Losses
from nav_foundation.training.eyes import Eyes
from nav_foundation.training.floor import Floor
from nav_foundation.training.ours import Ours
from nav_foundation.training.peers import Peer
from nav_foundation.training.provenance import robot_hours
from nav_foundation.training.samples import Part, Samples, loader
from nav_foundation.training.settings import TrainSettings
from nav_foundation.training.state import Average, State

STATE, MODEL, DIVERGED = "state.pt", "model", "diverged.pt"
_WILD = 20.0  # times the usual loss at which training has diverged
_USUAL = 0.98  # how slowly the usual loss follows
_SAVED_EVERY = 300.0  # s at most between two states: steps may take seconds


class Objective(nn.Module):
    """The network with its losses: one forward, so that gradients of several processes are averaged as they should."""

    def __init__(self, course: Course, model: nn.Module) -> None:
        super().__init__()
        self.course, self.model = course, model

    def forward(self, batch: Batch) -> Losses:
        return self.course.losses(self.model, batch)


@dataclass(frozen=True)
class Trained:
    folder: Path  # of the checkpoint
    steps: int
    losses: dict[str, float]  # on the validation data, or the training data where there is none
    pairs_per_second: float


def train(
    settings: TrainSettings, out: Path, *, resume: bool = False, begin_with: Path | None = None,
    minutes: float = math.inf, progress: bool = True,
) -> Trained:
    """Train into `out`: `model/` is the averaged network, `state.pt` what `resume` needs, `logs/` for TensorBoard.

    After `minutes` it stops, to be gone on with by `resume`.
    """
    if (out / STATE).exists() and not resume:
        raise ValueError(f"{out} holds a training already: add --resume to go on with it, or name another folder")
    if begin_with is None and settings.tune != "all":
        raise ValueError(f"tune {settings.tune} needs a network to go on from: give --from, or leave it out")
    if begin_with is None and settings.floor:
        raise ValueError("only the floor is taught to a network that is there already: give --from with --floor")
    course = course_of(settings, begin_with)
    # Before anything is made, and before processes that could only show a traceback.
    for part in (samples_of(settings, course), held_samples(settings, course)):
        if part is not None:
            part.check()
    AcceleratorState._reset_state()  # of an earlier training in this process, with another precision
    accelerator = Accelerator(
        mixed_precision=_precision(settings), cpu=not torch.cuda.is_available(),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # a batch may lack words
    )
    if settings.batch % (2 * accelerator.num_processes):
        raise ValueError(f"training batch is {settings.batch}: give a multiple of {2 * accelerator.num_processes}")
    torch.manual_seed(settings.seed)
    model = course.network()
    state = State(model, Average(model, settings.average), _optimiser(model, settings))
    if resume and (out / STATE).exists():
        state.load(out / STATE)
        if state.step > settings.steps:
            raise ValueError(f"{out} has made {state.step} steps already: give --steps {state.step} or more")
    return _Run(settings, out, accelerator, state, course, robot_hours(settings.data, begin_with))(minutes, progress)


class _Run:
    """One training, from its state's step to the last one."""

    def __init__(
        self, settings: TrainSettings, out: Path, accelerator: Accelerator, state: State, course: Course,
        hours: float,
    ) -> None:
        self._robot_hours = round(hours, 3)
        self._settings, self._out, self._accelerator, self._state = settings, out, accelerator, state
        self._course = course
        state.average.model.to(accelerator.device)
        objective = Objective(course, state.model)
        self._objective, self._optimiser = accelerator.prepare(objective, state.optimiser)
        self._samples = samples_of(settings, course)
        self._usual = math.nan
        self._log = _Log(out / "logs") if accelerator.is_main_process else None

    def __call__(self, minutes: float, progress: bool) -> Trained:
        settings, state, accelerator = self._settings, self._state, self._accelerator
        begun, first = time.perf_counter(), state.step
        saved = begun
        if first == settings.steps:
            told = read_config(self._out / MODEL)["provenance"].get("losses", {})  # published kinds keep none
            return Trained(self._out / MODEL, first, self._validate() or told, 0.0)
        steps = range(state.step, settings.steps)
        batches = loader(self._samples, steps, settings.batch, settings.workers,
                         accelerator.process_index, accelerator.num_processes)
        bar = tqdm(steps, initial=first, total=settings.steps, unit="step", desc="training",
                   mininterval=0.2 if sys.stderr.isatty() else 60.0,  # a line a minute in a log
                   disable=not (progress and accelerator.is_main_process))
        parts, pairs = dict.fromkeys(self._course.parts, math.nan), 0
        for step in bar:
            batch = next(batches).to(accelerator.device)
            pairs += batch.count * accelerator.num_processes
            parts = self._step(batch, step)
            bar.set_postfix_str(" ".join(f"{name} {value:.3f}" for name, value in parts.items()), refresh=False)
            late = minutes < math.inf and self._any(time.perf_counter() - begun > 60 * minutes)
            last = late or state.step == settings.steps
            if state.step % settings.validate_every == 0 or last:
                parts = self._validate() or parts
            if state.step % settings.save_every == 0 or last or time.perf_counter() - saved > _SAVED_EVERY:
                self._save(parts)
                saved = time.perf_counter()
            if last:
                break
        rate = pairs / max(time.perf_counter() - begun, 1e-9)
        return Trained(self._out / MODEL, state.step, parts, rate)

    def _any(self, mine: bool) -> bool:
        """Whether it is so in any process: each has its own clock, and all must stop at the same step."""
        flag = torch.tensor(float(mine), device=self._accelerator.device)
        return bool(self._accelerator.reduce(flag, "sum") > 0)

    def _step(self, batch: Batch, step: int) -> dict[str, float]:
        settings, accelerator, shares = self._settings, self._accelerator, self._course.parts
        number = step * accelerator.num_processes + accelerator.process_index
        torch.manual_seed(1_000_003 * settings.seed + number)  # what drops out is the same after --resume
        for group in self._optimiser.param_groups:
            group["lr"] = settings.rate * schedule(step, settings)
        with accelerator.autocast():
            losses = self._objective(batch)
        together = accelerator.reduce(losses.weights.detach(), "sum")
        # Gradients are averaged over processes; times their number, the loss is that of the whole batch.
        loss = losses.total(shares, together) * accelerator.num_processes
        sums = accelerator.reduce(losses.sums.detach(), "sum")
        values = (sums / together.clamp(min=1e-6)).tolist()
        total = sum(count * value for count, value in zip(shares.values(), values))
        self._stop_if_wild(total, batch, step)
        accelerator.backward(loss)
        norm = accelerator.clip_grad_norm_(self._objective.parameters(), settings.clip)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._state.average.update(accelerator.unwrap_model(self._objective).model)
        self._state.step = step + 1
        parts = dict(zip(shares, values))
        if self._log is not None:
            self._log.add(step, {f"train/{name}": value for name, value in parts.items()} | {"gradient": float(norm)})
        return parts

    def _stop_if_wild(self, total: float, batch: Batch, step: int) -> None:
        """A loss that is no number or far beyond the usual ends the training, with the batch kept for a look at it."""
        if math.isfinite(total) and not total > _WILD * self._usual:
            if total > 0:  # else the batch knew nothing
                self._usual = total if math.isnan(self._usual) else _USUAL * self._usual + (1 - _USUAL) * total
            return
        path = self._out / DIVERGED
        if self._accelerator.is_main_process:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({field.name: getattr(batch, field.name).cpu() for field in fields(batch)}, path)  # type: ignore[arg-type]
        raise ValueError(
            f"the loss became {total:.3g} at step {step} (usual: {self._usual:.3g}): the batch is in {path}; lower the "
            "learning rate, or look at the data, and go on with --resume"
        )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """The averaged network's losses on other scenes; nothing where none are given."""
        settings, accelerator, course = self._settings, self._accelerator, self._course
        samples = held_samples(settings, course)
        if samples is None:
            return {}
        objective = Objective(course, self._state.average.model)
        sums = torch.zeros(2, len(course.parts), device=accelerator.device)
        for batch in loader(samples, range(settings.validation_batches), settings.batch, 0,
                            accelerator.process_index, accelerator.num_processes):
            losses = objective(batch.to(accelerator.device))
            sums += torch.stack([losses.sums, losses.weights])
        sums = accelerator.reduce(sums, "sum")
        values = dict(zip(course.parts, (sums[0] / sums[1].clamp(min=1e-6)).tolist()))
        if self._log is not None:
            self._log.add(self._state.step, {f"validation/{name}": value for name, value in values.items()})
        return values

    def _save(self, parts: dict[str, float]) -> None:
        if not self._accelerator.is_main_process:
            return
        self._course.save(self._state.average.model, self._out / MODEL, {
            "commit": commit(), "settings": to_mapping(self._settings), "steps": self._state.step, "losses": parts,
            ROBOT_HOURS: self._robot_hours,
        })
        self._state.save(self._out / STATE)


def schedule(step: int, settings: TrainSettings) -> float:
    """Share of the highest learning rate: a linear start, then half a cosine down to a hundredth."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _precision(settings: TrainSettings) -> str:
    if settings.precision != "auto":
        return settings.precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    # Intel's AVX512 alone takes a third longer with bf16 than with float32; its matrix units and AMD's do not.
    by_vectors = able.get("avx512_bf16") and "AMD" in able.get("cpu_name", "")
    return "bf16" if able.get("amx_bf16") or by_vectors else "no"


def _optimiser(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW; weights of one dimension (norms, biases) and tables are not decayed."""
    learnt = [p for p in model.parameters() if p.requires_grad]
    matrices, others = [p for p in learnt if p.ndim > 1], [p for p in learnt if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices, "weight_decay": settings.decay},
                                    {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98))


def course_of(settings: TrainSettings, begin_with: Path | None = None) -> Course:
    if settings.text_tower and (begin_with is not None or settings.model in KINDS):
        raise ValueError("a text tower is chosen with a network of ours and new weights: leave out --text-tower")
    if (settings.eyes or settings.floor) and settings.model in KINDS:
        raise ValueError(f"{settings.model} has no eyes to be trained alone: leave out --eyes and --floor")
    if settings.model not in KINDS:
        return (Floor if settings.floor else Eyes if settings.eyes else Ours).of(settings, begin_with)
    if begin_with is not None:
        raise ValueError(f"{settings.model} is trained from its beginning, to be compared with: leave out --from")
    return Peer("vint" if settings.model == "vint" else "nomad")


def samples_of(settings: TrainSettings, course: Course) -> Samples:
    """What is learnt from."""
    return Samples(
        course, settings.data, settings.weights, settings.seed, settings.light, settings.flips,
        part="learnt" if settings.hold else "all",
    )


def held_samples(settings: TrainSettings, course: Course) -> Samples | None:
    """What is judged by, as it was seen; None where there is nothing."""
    data = settings.data if settings.hold else settings.validation
    part: Part = "held" if settings.hold else "all"
    return Samples(course, data, seed=1, light=0.0, flips=False, part=part) if data else None


class _Log:
    """Curves for TensorBoard."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def add(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
