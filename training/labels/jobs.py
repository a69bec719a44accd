"""Many independent pieces of work, on the processes of one machine or on a Ray cluster.

A piece that fails is reported and does not stop the rest, also when its process dies.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, TypeVar

from kf_imitation.errors import KfImitationError

Task = TypeVar('Task')
# The task, what the work returned, and the error instead.
Outcome = tuple[Task, Any, str | None]


class ClusterError(KfImitationError):
    """Ray is not installed or its cluster does not answer."""


def run_local(
    work: Callable[[Task], Any], tasks: Sequence[Task], jobs: int
) -> Iterator[Outcome[Task]]:
    """Run work in processes of this machine.

    Args:
        work: importable function; what it raises is the task's error.
        tasks: what it is called with, each alone.
        jobs: processes.

    Yields:
        Outcomes as they come.
    """
    left = list(tasks)
    with _pool(jobs) as pool:
        futures = {pool.submit(work, task): task for task in left}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    break
                left.remove(futures[future])
                yield futures[future], None if error else future.result(), _say(error)
        finally:
            pool.shutdown(cancel_futures=True)
    # A process died and took the pool with it: one process for each task shows which it was.
    for task in left:
        with _pool(1) as pool:
            future = pool.submit(work, task)
            error = future.exception()
            yield task, None if error else future.result(), _say(error)


def run_ray(
    work: Callable[[Task], Any], tasks: Sequence[Task], address: str, ahead: int = 2
) -> Iterator[Outcome[Task]]:
    """Run work on a Ray cluster.

    Args:
        work: see run_local; the project must be installed on every node.
        tasks: see run_local; files they name must be on storage that every node sees.
        address: of the cluster; `local` starts Ray on this machine.
        ahead: tasks handed over for each processor, so that millions do not wait in Ray.

    Raises:
        ClusterError: Ray is not installed or the cluster does not answer.
    """
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError as error:
        raise ClusterError(
            f'--ray needs Ray ({error}): install it with  pip install ray'
        ) from error
    local = address == 'local'
    try:
        ray.init(
            address=None if local else address,
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level='ERROR',
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(f'Ray at {address} cannot be used: {error}') from error
    try:
        remote = ray.remote(num_cpus=1, max_retries=1)(work)
        waiting = iter(tasks)
        running: dict[Any, Task] = {}
        room = max(1, int(ahead * ray.cluster_resources().get('CPU', 1)))
        while True:
            while len(running) < room and (task := next(waiting, None)) is not None:
                running[remote.remote(task)] = task
            if not running:
                return
            (done, *_), _ = ray.wait(list(running))
            task = running.pop(done)
            try:
                yield task, ray.get(done), None
            except RayError as error:
                cause = getattr(error, 'cause', None)
                yield task, None, _say(cause if isinstance(cause, BaseException) else error)
    finally:
        ray.shutdown()


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context('spawn'))


def _say(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, BrokenProcessPool):
        return 'its process died'
    text = str(error).strip() or type(error).__name__
    known = isinstance(error, KfImitationError | OSError)
    return text if known else f'{type(error).__name__}: {text}'
