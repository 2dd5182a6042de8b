"""How soon the ROS nodes answer a camera: `python benchmarks/ros.py` measures and appends to benchmarks/results.md.

`nav-foundation robot` runs beside a camera of 640x480 at 30 Hz and odometry at 50 Hz, each replayed by a process of its
own. Commands and plans are dated by the stamps that DDS puts on them: what listens here adds nothing to them.
`--ticks 10000` runs long enough to see whether memory grows, and tells of that alone. `--soak 60` lets a simulated
robot drive from goal to goal for an hour instead.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # also runs where the package is not installed
    sys.path.insert(0, str(ROOT))

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped  # noqa: E402
from nav_msgs.msg import Path as PathMessage  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from benchmarks.measuring import Row, append  # noqa: E402
from benchmarks.ros_processes import Meter, Robot, running  # noqa: E402
from benchmarks.ros_replay import TOPIC, recorded_pictures, vga_robot  # noqa: E402
from nav_foundation.config import to_mapping  # noqa: E402
from nav_foundation.robot import RobotSpec, load_robot  # noqa: E402
from nav_foundation.types import NANOSECONDS, Pose2  # noqa: E402
from ros_nodes.commands import environment  # noqa: E402
from ros_nodes.messages import pose2_of, stamp_ns  # noqa: E402
from ros_nodes.node import LATCHED, SENSOR  # noqa: E402
from tests.ros_graph import EVERY, Witness, until  # noqa: E402

DOMAIN = 101  # the highest that every system has ports for; tests stay below
TICK_RATE = 10.0  # Hz
FAR = Pose2(1000.0, 0.0, 0.0)  # m; a goal to go on to
STARTED = 120.0  # s for all nodes to begin
WARM = 5.0  # s of driving that are not measured
STOPS, KILLS = 10, 5
STEADY_TICKS = 20  # of the controller at speed, before something is stopped
ERRAND = 60.0  # s after which a robot is sent elsewhere


@dataclass(frozen=True)
class Command:
    sent: int  # ns
    linear: float  # m/s
    angular: float  # rad/s


class Ears:
    """Note what is sent, and when, in ns by the clock of stamps."""

    def __init__(self, witness: Witness, pictures: type[Image] | type[CompressedImage] | None = None) -> None:
        self.pictures: list[tuple[int, int, int, int]] = []  # number, stamp, when it came, when a callback had it
        self.plans: list[tuple[int, int]] = []  # stamp of its picture, when it was sent
        self.ticks: list[tuple[int, int]] = []  # of the controller: begun, its velocity sent
        self.commands: list[Command] = []
        self.told: list[dict[str, str]] = []  # the navigator's diagnostics, once a second
        every, listen = copy(SENSOR), witness.node.create_subscription
        every.depth = EVERY.depth
        listen(Twist, "cmd_vel", self._on_command, EVERY)
        listen(PathMessage, "plan", self._on_plan, EVERY)
        listen(TwistStamped, "controller/wanted", self._on_tick, every)
        listen(DiagnosticArray, "/diagnostics", self._on_diagnostics, EVERY)
        if pictures is not None:
            topic = TOPIC if pictures is Image else f"{TOPIC}/compressed"
            listen(pictures, topic, self._on_picture, SENSOR)

    def _on_picture(self, message: Image | CompressedImage, about: Any) -> None:
        header, now = message.header, time.time_ns()
        self.pictures.append((int(header.frame_id), stamp_ns(header.stamp), about["received_timestamp"], now))

    def _on_plan(self, message: PathMessage, about: Any) -> None:
        if message.poses:
            self.plans.append((stamp_ns(message.header.stamp), about["source_timestamp"]))

    def _on_tick(self, message: TwistStamped, about: Any) -> None:
        self.ticks.append((stamp_ns(message.header.stamp), about["source_timestamp"]))

    def _on_command(self, message: Twist, about: Any) -> None:
        self.commands.append(Command(about["source_timestamp"], message.linear.x, message.angular.z))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.told += [
            {pair.key: pair.value for pair in status.values} for status in message.status
            if status.name.endswith("navigator") and status.values
        ]


# --- what is made of it -------------------------------------------------------------------------------------------


def delivered(numbers: Sequence[int]) -> float:
    """Share of what was sent, of which numbers came."""
    return len(set(numbers)) / (max(numbers) - min(numbers) + 1)


def command_lags(plans: Sequence[tuple[int, int]], ticks: Sequence[tuple[int, int]]) -> np.ndarray:
    """[N] ns from the stamp of a plan's picture to the velocity sent by the first tick that began with that plan.

    The controller is taken to have it as soon as it is sent, which is right to a millisecond.
    """
    begun = np.array([begin for begin, _ in ticks])
    first = np.searchsorted(begun, [sent for _, sent in plans])
    return np.array([ticks[k][1] - stamp for (stamp, _), k in zip(plans, first) if k < len(ticks)])


def braking_begins(commands: Sequence[Command], since: int, braking: float) -> int:
    """ns when the first command was sent of those that brake hard, at about `braking` m/s^2, to the first stand."""
    at = next(k for k, command in enumerate(commands) if command.sent > since and command.linear == 0.0)
    while commands[at - 1].sent > since and slowing(commands[at - 2], commands[at - 1]) > braking / 2:
        at -= 1
    return commands[at].sent


def slowing(before: Command, after: Command) -> float:
    """m/s^2."""
    return (before.linear - after.linear) / ((after.sent - before.sent) / NANOSECONDS)


def beyond(commands: Sequence[Command], robot: RobotSpec) -> int:
    """How many commands ask for more than the robot can do, or speed up faster than it can."""
    too_fast = sum(
        abs(c.linear) > robot.max_speed + 1e-9 or abs(c.angular) > robot.max_angular_speed + 1e-9 for c in commands
    )
    too_sudden = 0
    for before, after in itertools.pairwise(commands):
        elapsed = max((after.sent - before.sent) / NANOSECONDS, 1.5 / robot.control_rate)
        too_sudden += abs(after.linear) - abs(before.linear) > robot.acceleration * elapsed + 0.02
    return too_fast + too_sudden


def lag_rows(what: str, lags: np.ndarray, detail: str, p50: str = "", p99: str = "") -> list[Row]:
    """Of [N] ns."""
    middle, most = np.percentile(lags / 1e6, [50, 99])
    count = f"of {len(lags):,} times"
    return [Row(f"{what}, p50", middle, "ms", p50, detail), Row(f"{what}, p99", most, "ms", p99, count)]


# --- the graph ----------------------------------------------------------------------------------------------------


@contextmanager
def replayed(compressed: bool) -> Iterator[tuple[Robot, Witness]]:
    """A robot that drives straight on while it is shown recorded pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "robot.yaml"
        file.write_text(yaml.safe_dump(to_mapping(vga_robot())), encoding="utf-8")
        told = {"robot": file, "drive": "true", "accept-sim-model": "true", "camera-info": "", "tick-rate": TICK_RATE,
                "compressed": compressed, "image": TOPIC}
        options = [word for name, value in told.items() for word in (f"--{name}", str(value))]
        script = str(ROOT / "benchmarks" / "ros_replay.py")
        shown = ["-p", f"folder:={recorded_pictures()}", "-p", f"compressed:={str(compressed).lower()}"]
        others = {"camera": [script, "camera", "--ros-args", *shown], "base": [script, "base"]}
        with heard(options, others, folder) as (robot, witness):
            begin(witness)
            yield robot, witness


@contextmanager
def heard(options: Sequence[str], others: dict[str, list[str]], folder: Path) -> Iterator[tuple[Robot, Witness]]:
    with running(options, others, folder / "log.txt") as robot:
        witness = Witness(DOMAIN)
        try:
            yield robot, witness
        finally:
            witness.close()


def begin(witness: Witness) -> None:
    """Be asked for a place far ahead, and be driving there."""
    until(lambda: witness.controller.get("mode") == "standing", STARTED, "all nodes work together")
    witness.navigator = {}
    witness.ask_for(FAR)
    until(lambda: witness.speed > 0, 10.0, "the robot drives")


# --- the parts ----------------------------------------------------------------------------------------------------


def measure_pictures(compressed: bool, seconds: float) -> list[Row]:
    kind, meter = "JPEG" if compressed else "raw", Meter()
    with replayed(compressed) as (robot, witness):
        time.sleep(WARM)
        pids = robot.pids()
        ears = Ears(witness, CompressedImage if compressed else Image)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            meter.note(pids)
            time.sleep(min(1.0, seconds / 10))
        meter.note(pids)
        assert robot.pids() == pids, f"a process ended: {pids}, then {robot.pids()}"
    return [*picture_rows(kind, ears), *usage_rows(kind, meter, len(ears.plans))]


def picture_rows(kind: str, ears: Ears) -> list[Row]:
    assert ears.pictures, "no picture came"
    numbers, stamps, came, had = (np.array(column) for column in zip(*ears.pictures))
    hertz = np.ptp(numbers) / (np.ptp(stamps) / NANOSECONDS)
    told = [float(words["pictures per second"]) for words in ears.told[1:]]
    busy = np.median([float(words["last plan (ms)"]) for words in ears.told[1:]])
    taken = np.median(had - stamps) / 1e6
    plans = np.array([sent - stamp for stamp, sent in ears.plans])
    rate = len(plans) / ((ears.plans[-1][1] - ears.plans[0][1]) / NANOSECONDS)
    return [
        Row(f"{kind} to a subscriber", 100 * delivered(numbers.tolist()), "%", ">= 97", f"VGA, sent at {hertz:.1f} Hz"),
        Row(f"{kind} to the navigator", 100 * float(np.mean(told)) / hertz, "%", ">= 97", "by its diagnostics"),
        *lag_rows(f"{kind}, transport alone", came - stamps, f"{taken:.1f} ms until a callback has it here (median)"),
        *lag_rows(f"{kind} to the plan", plans, f"{rate:.1f} plans/s; {busy:.0f} ms in the navigator (median)"),
        *lag_rows(f"{kind} to the command", command_lags(ears.plans, ears.ticks),
                  "that and the wait for the controller's tick, 20 Hz", "<= 35", "<= 80"),
    ]


def memory(measured: Callable[[], list[Row]]) -> list[Row]:
    return [row for row in measured() if "grows by" in row.what]


def usage_rows(kind: str, meter: Meter, ticks: int) -> list[Row]:
    shares = [
        Row(f"{kind}, processor of {name}", meter.share(name), "%", "", f"of one core; {meter.span(name)}")
        for name in sorted(meter.noted)
    ]
    flat = [
        Row(f"{kind}, {name} grows by", 1000 / TICK_RATE * meter.growth(name), "MB", "flat",
            f"per 1000 ticks, over {ticks:,}, the first part left out; {meter.span(name)}")
        for name in ("navigator", "controller")
    ]
    return shares + flat


def measure_braking() -> list[Row]:
    with replayed(False) as (robot, witness):
        ears = Ears(witness)
        frozen = [reaction(robot, witness, ears, "camera", signal.SIGSTOP) for _ in range(STOPS)]
    killed, back = kills()
    return [
        row for what, times in (("camera stops", frozen), ("navigator is killed", killed)) for row in (
            Row(f"{what}: braking after", float(np.median(times)), "s", "<= 0.3", f"median of {len(times)}"),
            Row(f"{what}: at worst", max(times), "s", "<= 0.3", "from the signal to the first command that brakes"),
        )
    ] + [Row("navigator drives again", back, "times", f"{KILLS}", f"of {KILLS}, once the supervisor began it anew")]


def kills() -> tuple[list[float], int]:
    """s until braking was commanded, each time that the navigator was killed; how often it drove again."""
    times, back = list[float](), 0
    while len(times) < KILLS:
        with replayed(False) as (robot, witness):
            ears = Ears(witness, Image)
            while len(times) < KILLS:
                times.append(reaction(robot, witness, ears, "navigator", signal.SIGKILL))
                try:
                    begin(witness)
                except AssertionError as error:  # all begin anew
                    heard_then = len(ears.pictures)
                    time.sleep(1.0)
                    print(f"{error}: {len(ears.pictures) - heard_then} pictures/s come here, {robot.pids()} run",
                          robot.log.read_text(errors="replace")[-1000:], sep="\n", file=sys.stderr)
                    break
                back += 1
    return times, back


def reaction(robot: Robot, witness: Witness, ears: Ears, name: str, number: int) -> float:
    """s from a signal to a process until braking is commanded. What was stopped goes on then."""
    spec, heard_before = vga_robot(), len(ears.commands)
    until(lambda: len(ears.commands) > heard_before + STEADY_TICKS and all(
        command.linear > 0.75 * spec.cruise_speed for command in ears.commands[-STEADY_TICKS:]), 60.0, "it drives")
    time.sleep(random.uniform(0.0, 0.2))
    pid, at = robot.pids()[name], time.time_ns()
    os.kill(pid, number)
    until(lambda: witness.speed == 0.0, 5.0, "the robot stands")
    time.sleep(0.5)
    if number == signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    return (braking_begins(ears.commands, at, spec.braking) - at) / NANOSECONDS


def soak(minutes: float) -> list[Row]:
    options = ["--sim", "--task", "point-goal", "--episode", "3"]
    meter, arrivals, asked = Meter(), 0, 0
    with tempfile.TemporaryDirectory() as name, heard(options, {}, Path(name)) as (robot, witness):
        proposed: list[PoseStamped] = []
        witness.node.create_subscription(PoseStamped, "simulated_robot/goal_pose", proposed.append, LATCHED)
        until(lambda: proposed and witness.controller.get("mode") == "standing", STARTED, "all nodes work together")
        ears, errands = Ears(witness), itertools.cycle(("there", "back", "explore"))
        begun = since = time.monotonic()
        while time.monotonic() - begun < 60 * minutes:
            arrived = asked > 0 and witness.navigator.get("state") == "arrived"
            if arrived or asked == 0 or time.monotonic() - since > ERRAND:
                arrivals, asked, since = arrivals + arrived, asked + 1, time.monotonic()
                with suppress(AssertionError):  # while it begins anew
                    send(witness, next(errands), pose2_of(proposed[-1].pose))
            meter.note(robot.pids())
            time.sleep(1.0)
        alive = len(robot.pids())
    return soak_rows(ears, meter, alive, f"{arrivals} arrivals of {asked} errands in {minutes:g} min")


def send(witness: Witness, errand: str, there: Pose2) -> None:
    if errand == "explore":
        witness.call(Trigger, "navigator/explore")
    else:
        witness.ask_for(there if errand == "there" else Pose2(0.0, 0.0, 0.0))
    until(lambda: witness.navigator.get("state") != "arrived", 5.0, "it sets out")


def soak_rows(ears: Ears, meter: Meter, alive: int, detail: str) -> list[Row]:
    sent = np.array([command.sent for command in ears.commands]) / NANOSECONDS
    wrong = beyond(ears.commands, load_robot("turtlebot"))
    return [
        Row("soak: processes alive", alive, "", "3", detail),
        Row("soak: restarts", sum(map(meter.restarts, meter.noted)), "", "0", ", ".join(sorted(meter.noted))),
        Row("soak: commands beyond limits", wrong, "", "0", f"of {len(sent):,}"),
        Row("soak: longest gap in commands", float(np.diff(sent).max()), "s", "<= 0.5", "a base then stops by itself"),
        *(Row(f"soak: {name} grows by", 3600 * meter.growth(name), "MB/h", "flat", meter.span(name))
          for name in sorted(meter.noted)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="to drive, with each kind of picture (default 60)")
    parser.add_argument("--ticks", type=int, default=0, help="only measure memory, over so many plans")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="only drive a simulated robot for that long")
    parser.add_argument("--only", choices=("raw", "jpeg", "braking"), action="append", help="may be repeated")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results.md", help="where to append")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    seconds = options.ticks / TICK_RATE if options.ticks else options.seconds
    parts: dict[str, Callable[[], list[Row]]] = {
        "raw": partial(measure_pictures, False, seconds), "jpeg": partial(measure_pictures, True, seconds),
        "braking": measure_braking,
    }
    if options.ticks:  # other programs may run meanwhile: what is timed is left out
        parts = {kind: partial(memory, parts[kind]) for kind in ("raw", "jpeg")}
    if options.soak:
        parts, options.only = {"soak": partial(soak, options.soak)}, None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all that was started is ended
    rows = list[Row]()
    conditions = f"nano on turtlebot, Fast DDS; load average {os.getloadavg()[0]:.1f} before it"
    with tempfile.TemporaryDirectory() as logs:
        os.environ |= {**environment(sim=True), "ROS_DOMAIN_ID": str(DOMAIN), "ROS_LOG_DIR": logs}
        for name in options.only or parts:
            made = parts[name]()
            rows += made
            print("\n".join(map(str, made)), flush=True)
    if not options.no_save:
        append(options.results, "ROS nodes", conditions, rows)


if __name__ == "__main__":
    main()
