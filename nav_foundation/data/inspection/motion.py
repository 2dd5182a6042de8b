"""Suspicions that poses, actions and stamps raise by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nav_foundation.data.inspection.finding import Finding, at, runs
from nav_foundation.data.inspection.look import Seen
from nav_foundation.data.units import measured_actions, typical_step
from nav_foundation.geometry import wrap_angle

SHORTEST = 2.0  # s; two seconds ahead are what a planner learns, so that less holds nothing to learn
TELEPORT = 1.5  # times the top speed: wheels do not slip forwards
TELEPORT_SLACK = 0.25  # m, rad; odometry that is corrected jumps a little, and that is right
OWN_TELEPORT = 5.0  # times the fast steps of the episode itself, where no robot is told
OWN_TELEPORT_LEAST = 0.5  # m; a smaller jump is a stumble
FEW_JUMPS = 0.05  # of the steps; more are no teleports but a robot that is faster than told
TOO_FAST = 1.25  # times the robot's limits, for one step in 20: timing trembles by less
GAP = 3.0  # periods; one dropped frame is everyday life
GAP_LEAST = 0.5  # s
IRREGULAR = 0.5  # of a period; a stamp that is further off belongs to another frame
MANY_IRREGULAR = 0.1  # of the frames
WRONG_RATE = 0.1  # by which the frames' median distance may differ from the rate that is told
ENOUGH = 20  # steps without which nothing can be said of headings, actions and cruising
ASIDE = math.radians(30)  # a robot that drives straight ahead may look aside by a camera's mount, not by more
FOLLOWS, LOST = 0.9, 0.7  # length of the mean direction of motion in the robot's frame: 1 = always the same way
CRUISING = 0.3  # by which the step may differ from the robot's; the unit of length of all that is learnt
OPPOSED = -0.5  # correlation of actions and motion below which their signs disagree
SCALE = 2.0  # times: commands are not met exactly, but more is another unit
CRAWL = 0.05  # m/s; what is slower is odometry that trembles
CRAWL_TURN = 0.05  # rad/s
STANDING = 0.8  # share of its time that is no drive any more
STANDING_LEAST = 20.0  # s
STUCK = 5.0  # s of commands without motion; starting takes less
PUSHES = (0.1, 0.2)  # m/s, rad/s commanded that ought to move a robot
LAGS = 5  # frames by which commands may come before the motion


def motion_findings(seen: Seen) -> Iterator[Finding]:
    yield from _clock(seen)
    if seen.poses is None:
        return
    if float(seen.seconds[-1]) < SHORTEST:
        yield _finding(seen, "too short", 0, f"it lasts {seen.seconds[-1]:.1f} s, too little to learn from: leave it "
                       "out (--min-length at import)")
    if seen.frames < 2 or (np.diff(seen.stamps_ns) <= 0).any():
        return
    jumps = _jumps(seen)
    yield from _teleports(seen, jumps)
    yield from _too_fast(seen, jumps)
    yield from _heading(seen, jumps)
    yield from _cruising(seen)
    yield from _actions(seen, jumps)
    yield from _standing(seen)


def _finding(seen: Seen, kind: str, frame: int, text: str) -> Finding:
    return Finding(kind, seen.number, frame, f"Episode {seen.number}: {text}.")


# --- stamps -------------------------------------------------------------------------------------------------------


def _clock(seen: Seen) -> Iterator[Finding]:
    if seen.frames < 2:
        return
    period, apart = 1.0 / seen.frame_rate, np.diff(seen.stamps_ns) / 1e9
    if (apart <= 0).any():
        frame = int(np.argmax(apart <= 0)) + 1
        yield _finding(seen, "clock", frame, f"its clock goes backwards or stands at {at(seen, frame)}: import the "
                       "recording again by the time of its messages")
        return
    gaps = np.flatnonzero(apart > max(GAP * period, GAP_LEAST))
    if len(gaps):
        worst = int(gaps[np.argmax(apart[gaps])])
        more = f", the longest of {len(gaps)}" if len(gaps) > 1 else ""
        yield _finding(seen, "clock", worst, f"{apart[worst]:.1f} s pass between {at(seen, worst)} and the next{more}, "
                       f"at {seen.frame_rate:g} frames per second: cut it there (--max-gap at import)")
    typical = float(np.median(apart))
    if seen.frames >= ENOUGH and abs(typical / period - 1) > WRONG_RATE:
        yield _finding(seen, "clock", 0, f"it has {1 / typical:.2f} frames per second where the dataset tells of "
                       f"{seen.frame_rate:g}: import it again with --frame-rate")
        return
    off = np.abs(apart - period) > IRREGULAR * period
    off[gaps] = False
    if seen.frames >= ENOUGH and off.mean() > MANY_IRREGULAR:
        frame = int(np.argmax(off))
        yield _finding(seen, "clock", frame, f"its frames are not evenly spaced ({off.mean():.0%} of them by more than "
                       f"half a period, first at {at(seen, frame)}): import it again so that frames are chosen by time")


# --- poses --------------------------------------------------------------------------------------------------------


def _steps(seen: Seen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every frame but the last: metres and radians to the next, and seconds."""
    assert seen.poses is not None
    metres = np.linalg.norm(np.diff(seen.poses[:, :2], axis=0), axis=1)
    turn = np.abs(wrap_angle(np.diff(seen.poses[:, 2])))
    return metres, turn, np.diff(seen.stamps_ns) / 1e9


def _jumps(seen: Seen) -> np.ndarray:
    """[T - 1] bool: steps that no robot makes."""
    metres, turn, seconds = _steps(seen)
    if robot := seen.info.robot:
        far = metres > TELEPORT * robot.max_speed * seconds + TELEPORT_SLACK
        return np.asarray(far | (turn > TELEPORT * robot.max_angular_speed * seconds + TELEPORT_SLACK))
    usual = float(np.quantile(metres / seconds, 0.9))
    return np.asarray(metres > np.maximum(OWN_TELEPORT * usual * seconds, OWN_TELEPORT_LEAST))


def _teleports(seen: Seen, jumps: np.ndarray) -> Iterator[Finding]:
    if not jumps.any() or jumps.sum() > max(2, FEW_JUMPS * len(jumps)):
        return
    metres, turn, seconds = _steps(seen)
    first = int(np.argmax(jumps))
    more = f", and {jumps.sum() - 1} times more" if jumps.sum() > 1 else ""
    against = f"{seen.info.robot.name} drives {seen.info.robot.max_speed:g} m/s at most" if seen.info.robot else (
        f"otherwise it drives {np.quantile(metres / seconds, 0.9):.1f} m/s")
    yield _finding(seen, "teleport", first, f"it jumps by {metres[first]:.2f} m and {math.degrees(turn[first]):.0f} "
                   f"degrees in {seconds[first]:.2f} s at {at(seen, first)}{more} ({against}): cut it there")


def _too_fast(seen: Seen, jumps: np.ndarray) -> Iterator[Finding]:
    robot = seen.info.robot
    if robot is None or seen.frames < ENOUGH:
        return
    metres, turn, seconds = _steps(seen)
    sound = ~jumps if jumps.sum() <= max(2, FEW_JUMPS * len(jumps)) else np.ones_like(jumps)
    for what, rates, limit, unit in (
        ("drives", (metres / seconds)[sound], robot.max_speed, "m/s"),
        ("turns", (turn / seconds)[sound], robot.max_angular_speed, "rad/s"),
    ):
        fast = float(np.quantile(rates, 0.95))
        if fast > TOO_FAST * limit:
            frame = int(np.argmax((metres / seconds if what == "drives" else turn / seconds) >= fast))
            yield _finding(seen, "too fast", frame, f"it {what} at {fast:.2f} {unit} from {at(seen, frame)} on, and "
                           f"{robot.name} cannot exceed {limit:g}: name the right robot, or mend its units (--scale)")


def _directions(seen: Seen, jumps: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Unit complex numbers [N]: where the robot moves to in its own frame, 1 = ahead, for steps that are no crawl."""
    assert seen.poses is not None
    metres, _, seconds = _steps(seen)
    fast = (metres > 0.5 * np.quantile(metres, 0.9)) & (metres > CRAWL * seconds) & ~jumps
    delta = np.diff(seen.poses[:, :2], axis=0)[fast]
    middle = yaw[:-1] + 0.5 * np.asarray(wrap_angle(np.diff(yaw)))
    ahead = np.exp(1j * (np.arctan2(delta[:, 1], delta[:, 0]) - middle[fast]))
    return np.asarray(ahead)


def _heading(seen: Seen, jumps: np.ndarray) -> Iterator[Finding]:
    """Whether it looks where it goes. Of omnidirectional robots only what no way of driving explains."""
    assert seen.poses is not None
    yaw = seen.poses[:, 2]
    told = _directions(seen, jumps, yaw)
    if len(told) < ENOUGH:
        return
    mean = complex(told.mean())
    if abs(mean) < LOST:
        for fault, other in (("has the wrong sign", -yaw), ("is in degrees", np.radians(yaw))):
            if abs(complex(_directions(seen, jumps, other).mean())) > FOLLOWS:
                yield _finding(seen, "yaw", 0, f"its yaw {fault}: with that mended it moves where it looks, as told it "
                               "does not; import it again with its yaw counter-clockwise in radians")
                return
        if seen.info.robot is None or seen.info.robot.drive == "differential":
            yield _finding(seen, "yaw", 0, "it moves in all directions whatever its yaw is: poses and headings do not "
                           "belong together; import it again with another source of poses")
        return
    aside = math.atan2(mean.imag, mean.real)
    sideways_is_fine = seen.info.robot is not None and seen.info.robot.drive == "omnidirectional"
    if abs(aside) > ASIDE and not sideways_is_fine:
        way = "backwards" if abs(aside) > math.pi - ASIDE else "to its left" if aside > 0 else "to its right"
        yield _finding(seen, "yaw", 0, f"it drives {way} all the time ({math.degrees(aside):.0f} degrees from where it "
                       "looks): turn its yaw by that, or leave it out")


def _standing(seen: Seen) -> Iterator[Finding]:
    metres, turn, seconds = _steps(seen)
    still = (metres < CRAWL * seconds) & (turn < CRAWL_TURN * seconds)
    stood = float(seconds[still].sum())
    if stood > max(STANDING_LEAST, STANDING * float(seconds.sum())):
        first = max(runs(still), key=lambda run: run[1] - run[0])[0]
        yield _finding(seen, "stands still", first, f"it stands still for {stood:.0f} of {seconds.sum():.0f} s, "
                       f"longest from {at(seen, first)} on: cut that out (--stand-still trim at import)")


def _cruising(seen: Seen) -> Iterator[Finding]:
    assert seen.poses is not None
    robot, step = seen.info.robot, typical_step([seen.poses])
    least = CRAWL / seen.frame_rate
    if robot is None or step is None or step < least or (_steps(seen)[0] > least).sum() < ENOUGH:
        return
    told = robot.cruise_speed / seen.frame_rate
    fast = float(np.quantile(_steps(seen)[0], 0.95))  # who drives slowly in a narrow place still goes fast at times
    if step > (1 + CRUISING) * told or max(step, fast) < (1 - CRUISING) * told:
        yield _finding(seen, "cruising step", 0, f"it moves {step:.3f} m per frame when it cruises, and "
                       f"{robot.name} moves {told:.3f}: name the right robot, or mend the units (--scale)")


# --- actions ------------------------------------------------------------------------------------------------------


def _actions(seen: Seen, jumps: np.ndarray) -> Iterator[Finding]:
    assert seen.poses is not None
    if seen.actions is None or seen.frames < 2 * ENOUGH:
        return
    if not np.isfinite(seen.actions).all():
        yield _finding(seen, "actions", 0, "its actions hold numbers that are not finite: leave it out")
        return
    measured, sound = measured_actions(seen.poses, seen.stamps_ns)[:-1], ~jumps
    for column, what, crawl in ((0, "speeds", CRAWL), (1, "turning rates", CRAWL_TURN)):
        told, moved = seen.actions[:-1, column][sound], measured[sound, column]
        moving = np.abs(moved) > crawl
        if moving.sum() < ENOUGH or np.abs(told).max() < 1e-6:
            continue
        scale = float(np.median(np.abs(told[moving])) / np.median(np.abs(moved[moving])))
        if _match(told, moved, moving) < OPPOSED:
            yield _finding(seen, "actions", 0, f"its actions' {what} have the opposite sign of its motion: turn their "
                           "sign at import")
        elif not 1 / SCALE < scale < SCALE:
            yield _finding(seen, "actions", 0, f"its actions' {what} are {scale:.2g} times what the robot does: give "
                           "them in m/s and rad/s")
    yield from _stuck(seen, measured)


def _stuck(seen: Seen, measured: np.ndarray) -> Iterator[Finding]:
    assert seen.actions is not None
    still = (np.abs(measured) < (CRAWL, CRAWL_TURN)).all(axis=1)
    driven = (np.abs(seen.actions[:-1]) > PUSHES).any(axis=1)
    stuck = [(a, b) for a, b in runs(still & driven) if seen.seconds[b] - seen.seconds[a] >= STUCK]
    if stuck:
        first, last = max(stuck, key=lambda run: run[1] - run[0])
        yield _finding(seen, "stuck", first, f"it does not move from {at(seen, first)} to {at(seen, last)} although "
                       "its actions drive: it was stuck or its poses froze; cut that out")


def _match(told: np.ndarray, moved: np.ndarray, moving: np.ndarray) -> float:
    """Correlation while it moves [N] bool, of the lag with the strongest one."""
    best = 0.0
    for lag in range(LAGS + 1):
        a, b = told[: len(told) - lag][moving[lag:]], moved[lag:][moving[lag:]]
        if len(a) >= ENOUGH and a.std() > 1e-6 and b.std() > 1e-6:
            found = float(np.corrcoef(a, b)[0, 1])
            best = found if abs(found) > abs(best) else best
    return best
