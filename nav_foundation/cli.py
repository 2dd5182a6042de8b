"""The command line. The composition root: it alone may call the simulators and policies, and only inside functions."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import nav_foundation
from nav_foundation.config import closest, load_mapping, to_mapping

USER_ERROR = 2  # exit code


class _Parser(argparse.ArgumentParser):
    """argparse that refuses in one sentence, naming what was meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(USER_ERROR)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            parser: _Parser = getattr(options, "parser", self)
            word = unknown[0].split("=")[0]
            known = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
            what = f"unknown option {word}" if word.startswith("-") else f"argument {word!r} is one too many"
            parser.error(f"{what}{closest(word, known) if word.startswith('-') else ''}; see {parser.prog} --help")
        return options

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            what = action.metavar if isinstance(action, argparse._SubParsersAction) else "/".join(action.option_strings)
            raise argparse.ArgumentError(None, f"{what} {value!r} is not known{closest(str(value), action.choices)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors of the user are one sentence on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # terminals that know only ASCII
    parser = _parser()
    options = parser.parse(sys.argv[1:] if arguments is None else arguments)
    if not hasattr(options, "run"):
        getattr(options, "parser", parser).print_help()
        return 0
    try:
        options.run(options)
    except ValueError as error:
        if os.environ.get("NAV_FOUNDATION_TRACEBACK"):
            raise
        print(f"{options.parser.prog}: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print(f"{options.parser.prog}: stopped; what is on disk is whole", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a disk that is full, a folder that cannot be written to
        if os.environ.get("NAV_FOUNDATION_TRACEBACK"):
            raise
        why = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        print(f"{options.parser.prog}: {f'{error.filename}: ' if error.filename else ''}{why}", file=sys.stderr)
        return USER_ERROR
    return 0


def _drive_both(options: argparse.Namespace) -> Any:
    from sim_envs.evaluation.before_after import both_drive  # loads simulators

    return both_drive(options)


def _parser() -> _Parser:
    from nav_foundation.data.commands import add_data
    from nav_foundation.model.commands import add_import_checkpoint
    from nav_foundation.training.commands import add_dagger, add_finetune, add_train
    from policies.prediction.commands import add_predict
    from ros_nodes.commands import add_goal, add_node, add_robot
    from sim_envs.collection.commands import add_collect, collector
    from sim_envs.habitat_commands import add_habitat

    parser = _Parser(
        prog="nav-foundation",
        description="One visual-navigation policy for any ground robot: evaluate it, watch it, compare it.",
        epilog="every verb has examples in its --help; NAV_FOUNDATION_TRACEBACK=1 shows where an error came from",
    )
    parser.add_argument("--version", action="version", version=f"nav-foundation {nav_foundation.__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="verb")
    _add_eval(verbs)
    _add_demo(verbs)
    _add_compare(verbs)
    _add_episodes(verbs)
    add_data(verbs, _verb)
    _add_robots(verbs)
    add_collect(verbs, _verb)
    add_train(verbs, _verb)
    add_finetune(verbs, _verb, _drive_both)
    add_dagger(verbs, _verb, collector)
    add_predict(verbs, _verb)
    add_import_checkpoint(verbs, _verb)
    add_robot(verbs, _verb)
    add_goal(verbs, _verb)
    add_habitat(verbs, _verb)
    add_node(verbs, _verb)
    return parser


def _verb(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], None] | None, about: str, examples: str
) -> _Parser:
    parser: _Parser = verbs.add_parser(
        name, help=about, description=about[0].upper() + about[1:] + ".", epilog=f"examples:\n{examples}"
    )
    parser.set_defaults(parser=parser, **({"run": run} if run else {}))
    return parser


# --- eval ---------------------------------------------------------------------------------------------------------


def _add_eval(verbs: Any) -> None:
    parser = _verb(verbs, "eval", _eval, "measure a policy on many episodes, with confidence intervals", """\
  nav-foundation eval --policy oracle --task point-goal --episodes 200 --workers 2 --json oracle.json
  nav-foundation eval --policy bearing --distance 5-15 --noise on --people 4 --report runs/bearing
  nav-foundation eval --task image-goal --variant covisible --scenes city --robot jackal --seed 7
  nav-foundation eval --scenes my_flat.glb --robot my_robot.yaml --episodes 50
  nav-foundation eval --task instruction --episodes-file val_unseen.json.gz --scenes-dir scene_datasets --language en
  nav-foundation eval --preset habitat/pointnav-gibson --episodes-file val.json.gz --scenes-dir scene_datasets
  nav-foundation eval --config evaluation.yaml --policy random    (options win over the file)

With --json (or --report) each episode is kept in a .jsonl file as it ends. A run that was stopped goes on when the same
command is given again.""")
    parser.add_argument("--policy", metavar="NAME", help="oracle (default), random, bearing, straight, a model that "
                        "comes along, or the folder of one that was trained or imported")
    parser.add_argument("--mask-goal", action="store_true", default=None, help="drive without the goal, and be told "
                        "only when it is there: what the goal is worth")
    _add_episode_options(parser)
    parser.add_argument("--preset", metavar="NAME", help="drive the episodes file as a public benchmark does, such as "
                        "habitat/pointnav-gibson")
    parser.add_argument("--noise", choices=("on", "off"), metavar="on|off",
                        help="camera, actuation and odometry noise (default off)")
    parser.add_argument("--people", type=_whole, metavar="N", help="people walking about (default 0)")
    parser.add_argument("--workers", type=_whole, metavar="W", help="processes; the result does not depend on it "
                        "(default: one per CPU)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here, and FILE.jsonl beside it")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write report.html, pictures and a video here")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="keep finished episodes even of a finished run")
    again.add_argument("--overwrite", action="store_true", help="begin anew whatever the results file holds")


def _add_episode_options(parser: argparse.ArgumentParser) -> None:
    """What to ask of the robot and where; the same for all verbs that make episodes."""
    from sim_envs.backend import add_sim_options

    add = parser.add_argument
    add("--task", metavar="TASK", help="point-goal, image-goal, object-goal, instruction, tour or explore")
    add("--variant", metavar="NAME", help="image-goal: route, covisible, any; object-goal: any, visible; "
        "instruction: single-room, multi-room (default: the first)")
    add("--distance", type=_distance, metavar="MIN-MAX", help="metres from start to goal, along the ground")
    add("--scenes", metavar="WHERE", help="houses, city, house:SEED, city:SEED?size=METRES or a mesh file "
        "(default houses)")
    add("--robot", metavar="NAME", help="a shipped robot (nav-foundation robots list) or a .yaml file "
        "(default turtlebot)")
    add("--split", metavar="SPLIT", help="scenes of train, val or test (default test)")
    add("--episodes", type=_whole, metavar="N", help="how many (default 100, or all of --episodes-file)")
    add("--seed", type=_whole, metavar="S", help="another seed makes other scenes (default 0)")
    add("--episodes-file", type=Path, metavar="FILE", help="take the episodes of a Habitat .json.gz instead")
    add("--scenes-dir", type=Path, metavar="DIR", help="where the scenes of that file lie")
    add("--language", metavar="TAG", help="keep its instructions in this language, such as en")
    add("--config", type=Path, metavar="FILE", help="settings from YAML or JSON, named as the options are")
    add_sim_options(parser)


def _settings(options: argparse.Namespace) -> Any:
    """EvaluationSettings of --config and the options, which win."""
    import dataclasses

    from nav_foundation.config import from_mapping
    from sim_envs.evaluation.settings import EvaluationSettings

    names = [field.name for field in dataclasses.fields(EvaluationSettings)]
    given = {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}
    if "noise" in given:
        given["noise"] = given["noise"] == "on"
    if options.config is None:
        return EvaluationSettings(**given)
    data = {str(key).replace("-", "_"): value for key, value in load_mapping(options.config).items()}
    if isinstance(data.get("distance"), str):
        try:
            data["distance"] = _distance(data["distance"])
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{options.config}: distance: {error}") from None
    return dataclasses.replace(from_mapping(EvaluationSettings, data, where=str(options.config)), **given)


def _eval(options: argparse.Namespace) -> None:
    from nav_foundation.files import make_folder, write_json
    from sim_envs.evaluation.evaluate import evaluate
    from sim_envs.evaluation.results import Existing
    from sim_envs.evaluation.tables import metrics_table

    settings, workers = _settings(options), _workers(options)
    results: Path | None = options.json or (options.report and options.report / "results.json")
    if results is not None:
        if results.is_dir():
            raise ValueError(f"--json {results} is a folder: name a file")
        if results.suffix == ".jsonl":
            raise ValueError(f"--json {results}: end the name in .json, its episodes are kept in a .jsonl beside it")
        make_folder(results.parent)
    existing: Existing = "replace" if options.overwrite else "keep" if options.resume else "continue"
    page = options.report and options.report / "report.html"
    if page is not None:
        make_folder(page.parent)
        if existing == "continue" and options.json is None and not page.exists():
            existing = "finish"  # it was stopped, maybe after the last episode
    evaluation = evaluate(settings, workers, results and results.with_suffix(".jsonl"), existing)
    print(f"{evaluation.title}\n\n{metrics_table(evaluation.summary)}\n\n{evaluation.notes}")
    if page is not None:
        page.unlink(missing_ok=True)  # of an earlier run: until the new one is whole there is none
    if results is not None:
        write_json(results, evaluation.as_json())
        print(f"results: {results}, {results.with_suffix('.jsonl')}")
    if options.report is not None:
        from sim_envs.evaluation.report import report_evaluation

        print("writing the report: maps, pictures and a video", file=sys.stderr, flush=True)
        print(f"report: {report_evaluation(evaluation, options.report, workers)}")


def _workers(options: argparse.Namespace) -> int:
    """How many processes: as asked, or one for every CPU that this one may use."""
    if options.workers is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if options.workers < 1:
        raise ValueError(f"workers is {options.workers}: give 1 or more")
    return int(options.workers)


# --- demo, compare ------------------------------------------------------------------------------------------------


def _add_demo(verbs: Any) -> None:
    parser = _verb(verbs, "demo", _demo, "watch policies navigate houses and a city: table, report page, video", """\
  nav-foundation demo
  nav-foundation demo --out runs/demo --seed 3""")
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), metavar="DIR", help="(default runs/demo)")
    parser.add_argument("--seed", type=_whole, default=0, metavar="S", help="makes other houses (default 0)")
    parser.add_argument("--workers", type=_whole, metavar="W", help="processes (default: one per CPU)")


def _demo(options: argparse.Namespace) -> None:
    from sim_envs.evaluation.demo import run_demo

    run_demo(options.out, options.seed, _workers(options))


def _add_compare(verbs: Any) -> None:
    parser = _verb(verbs, "compare", _compare, "compare two policies on the episodes that both have driven", """\
  nav-foundation compare bearing.jsonl oracle.jsonl
  nav-foundation compare old.json new.json --json difference.json

p is that of an exact two-sided sign test over episodes; for success this is McNemar's exact test.""")
    parser.add_argument("a", type=Path, metavar="A", help="results of `eval --json`, .jsonl or .json")
    parser.add_argument("b", type=Path, metavar="B", help="results of another policy on the same episodes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison here as well")


def _compare(options: argparse.Namespace) -> None:
    from nav_foundation.files import write_json
    from sim_envs.evaluation.results import compare_files
    from sim_envs.evaluation.tables import comparison_table

    differences, only_a, only_b = compare_files(options.a, options.b)
    print(comparison_table(differences, options.a.stem, options.b.stem))
    print(f"\n{differences[0].episodes} episodes in common" + (
        f"; left out: {only_a} only in A, {only_b} only in B" if only_a or only_b else ""
    ))
    if options.json is not None:
        write_json(options.json, {"a": options.a, "b": options.b, "only_a": only_a, "only_b": only_b,
                                  "metrics": {d.metric: d for d in differences}})


# --- episodes, robots ---------------------------------------------------------------------------------------------


def _add_episodes(verbs: Any) -> None:
    parser = _verb(verbs, "episodes", None, "generate files of episodes, or look into them", """\
  nav-foundation episodes generate --task object-goal --episodes 500 --split val --out val.json.gz
  nav-foundation episodes show val.json.gz""")
    actions = parser.add_subparsers(title="actions", metavar="action")
    generate = _verb(actions, "generate", _episodes_generate, "make solvable episodes and save them as .json.gz", """\
  nav-foundation episodes generate --task instruction --variant multi-room --episodes 200 --out episodes.json.gz
  nav-foundation episodes generate --scenes my_flat.glb --distance 3-8 --episodes 20 --out flat.json.gz""")
    _add_episode_options(generate)
    generate.add_argument("--workers", type=_whole, metavar="W", help="processes (default: one per CPU)")
    generate.add_argument("--out", type=Path, required=True, metavar="FILE", help="a name that ends in .json.gz")
    show = _verb(actions, "show", _episodes_show, "say what a file of episodes asks", """\
  nav-foundation episodes show val_unseen.json.gz --task instruction --limit 5""")
    show.add_argument("file", type=Path, metavar="FILE", help="a .json.gz of ours or of Habitat")
    show.add_argument("--task", metavar="TASK", help="how to read a file that serves two tasks (image-goal)")
    show.add_argument("--scenes-dir", type=Path, metavar="DIR", help="where the scenes of a public file lie")
    show.add_argument("--limit", type=_whole, default=10, metavar="N", help="episodes to list (default 10)")
    show.add_argument("--json", type=Path, metavar="FILE", help="write the summary here as well")


def _episodes_generate(options: argparse.Namespace) -> None:
    from sim_envs.evaluation.episode_sets import make_episodes

    if not options.out.name.endswith(".json.gz"):
        raise ValueError(f"--out {options.out}: end the name in .json.gz")
    print(make_episodes(_settings(options), options.out, _workers(options)))


def _episodes_show(options: argparse.Namespace) -> None:
    from nav_foundation.files import write_json
    from sim_envs.evaluation.episode_sets import describe

    text, numbers = describe(options.file, options.task, options.scenes_dir, options.limit)
    print(text)
    if options.json is not None:
        write_json(options.json, numbers)


def _add_robots(verbs: Any) -> None:
    parser = _verb(verbs, "robots", None, "list the robots that come along, or show one", """\
  nav-foundation robots list
  nav-foundation robots show turtlebot > my_robot.yaml""")
    actions = parser.add_subparsers(title="actions", metavar="action")
    _verb(actions, "list", _robots_list, "the robots that come along", "  nav-foundation robots list")
    show = _verb(actions, "show", _robots_show, "a robot as YAML, to start your own from", """\
  nav-foundation robots show jackal
  nav-foundation robots show my_robot.yaml    (checks it)""")
    show.add_argument("name", metavar="NAME", help="a shipped robot or a .yaml file")
    show.add_argument("--json", type=Path, metavar="FILE", help="write it here as JSON")


def _robots_list(options: argparse.Namespace) -> None:
    from nav_foundation.robot import load_robot, shipped_robots
    from sim_envs.evaluation.tables import table

    robots = [load_robot(name) for name in shipped_robots()]
    print(table(
        ["robot", "drive", "radius (m)", "cruise (m/s)", "camera", "lens"],
        [
            [r.name, r.drive, f"{r.footprint.radius:g}", f"{r.cruise_speed:g}", f"{r.camera.width}x{r.camera.height}",
             "fisheye" if r.camera.distortion == "equidistant" else "pinhole"]
            for r in robots
        ],
    ))


def _robots_show(options: argparse.Namespace) -> None:
    import yaml

    from nav_foundation.robot import load_robot

    data = {key: value for key, value in to_mapping(load_robot(options.name)).items() if value is not None}
    data["camera"] = {key: value for key, value in data["camera"].items() if value not in (None, [])}
    if options.json is not None:
        from nav_foundation.files import write_json

        write_json(options.json, data)
    print(yaml.safe_dump(data, sort_keys=False), end="")


# --- values of options --------------------------------------------------------------------------------------------


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes a whole number; got {text!r}") from None


def _distance(text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split("-"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"it takes metres as MIN-MAX, such as 2-10; got {text!r}") from None
    return low, high


if __name__ == "__main__":
    raise SystemExit(main())
