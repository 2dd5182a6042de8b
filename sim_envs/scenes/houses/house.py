"""Procedural houses: `build_house(seed)` puts plan, shell, furniture and garden together."""

from __future__ import annotations

import numpy as np

from sim_envs.mesh import SceneMesh
from sim_envs.scenes.builder import MeshBuilder
from sim_envs.scenes.houses.garden import build_garden, daylight
from sim_envs.scenes.houses.looks import Looks
from sim_envs.scenes.houses.plan import HousePlan, plan_house
from sim_envs.scenes.houses.rooms import furnish
from sim_envs.scenes.houses.shell import build_leaf, build_shell, hang_leaf
from sim_envs.simulator import Door, Room

_FIXTURES = ("wall tiles",)  # looks like a piece, but nobody would be sent to it


def build_house(seed: int) -> SceneMesh:
    """House number `seed`: the same seed gives the same bits."""
    plan = plan_house(seed)
    builder = MeshBuilder()
    # Each part draws from a stream of its own, so that a change to one leaves the others as they are.
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence([seed, 1]).spawn(5)]
    looks = Looks(builder, streams[0])
    sides = build_shell(plan, looks, streams[1])
    leaf_look = looks.pick(streams[2], looks.frame, looks.woods[1], looks.white)
    panels = int(streams[2].integers(0, 4))
    leaves = []
    for opening in plan.openings:
        if opening.kind == "door" and streams[2].random() < 0.6:
            leaf = hang_leaf(plan, sides, opening, streams[2])
            if leaf is not None:
                build_leaf(leaf, looks, leaf_look, panels)
                leaves.append(leaf)
    for thing in furnish(plan, looks, sides, leaves, streams[3]):
        is_object = thing.piece.category not in _FIXTURES
        with builder.instance(thing.piece.category, is_object, thing.room), \
                builder.at(thing.x, thing.y, thing.z, thing.yaw):
            thing.piece.draw(builder)
    build_garden(plan, builder, streams[4])
    return builder.build(_rooms(plan), _doors(plan), daylight(streams[4]), navigation_cell=0.05)


def _rooms(plan: HousePlan) -> list[Room]:
    return [Room(room.category, room.outline) for room in plan.rooms]


def _doors(plan: HousePlan) -> list[Door]:
    return [Door(o.centre, o.width, o.yaw, o.rooms) for o in plan.doorways]
