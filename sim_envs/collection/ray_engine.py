"""The same drives on a Ray cluster, for which the optional extra `ray` is needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from sim_envs.collection.drives import Collector, Drive
from sim_envs.collection.settings import CollectSettings
from sim_envs.workers import WorkerError


def run_on_ray(
    settings: CollectSettings, groups: list[list[int]], workers: int, retries: int
) -> Iterator[tuple[int, Drive | str]]:
    """(number, drive) in order. Joins the cluster that RAY_ADDRESS names, otherwise starts one of `workers` CPUs."""
    try:
        import ray
    except ImportError:
        raise ValueError("engine ray needs the package ray: pip install 'nav-foundation[ray]'") from None
    import os

    if not ray.is_initialized():
        alone: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers}
        ray.init(log_to_driver=False, include_dashboard=False, **alone)
    task = ray.remote(num_cpus=1, max_retries=retries)(_drives)
    ahead = max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
    begun: deque[Any] = deque()
    waiting = deque(groups)
    try:
        while waiting or begun:
            while waiting and len(begun) < ahead:
                begun.append(task.remote(settings, waiting.popleft()))
            try:
                yield from ray.get(begun.popleft())
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, ValueError):
                    raise error.cause from None
                raise WorkerError(f"a drive failed on the cluster:\n{error}") from None
            except ray.exceptions.WorkerCrashedError as error:
                raise WorkerError(f"a process of the cluster died {retries + 1} times: {error}") from None
    finally:
        for reference in begun:
            ray.cancel(reference, force=True)


def _drives(settings: CollectSettings, numbers: list[int]) -> list[tuple[int, Drive | str]]:
    """Runs in a process of the cluster."""
    import cv2

    cv2.setNumThreads(1)
    job = Collector(settings)
    return [(number, job(number)) for number in numbers]
