"""A whole graph inside one process, with few threads."""

import sys
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from kf_imitation.errors import KfImitationError
from kf_imitation.nodes.handover import IN_THREAD_OF, PAIRS, Handover
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.nodes.node_main import QUIET_TIMEOUT_S, end_ros, start_ros
from kf_imitation.pipeline.statistics import Ledger
from kf_imitation.ros_graph.nodes import OWN_PROCESS, SIDE, Graph

# Python hands its lock over after at most this long; the default of 5 ms is half a bus cycle.
_SWITCH_INTERVAL_S = 0.001
# The source stops first, the servos rest while the recorder still listens.
_CLOSING_ORDER = ('camera', 'keyframe', 'landmarks', 'servo', 'avatar', 'foxglove', 'recorder')


class StartStoppedError(Exception):
    """Somebody has asked the run to end before all of it ran."""


class Composition:
    """The nodes of a graph, built in order; also a context manager that closes them.

    Those that have a process of their own (OWN_PROCESS) are left to the caller.

    Attributes:
        nodes: by name.
        crashed: names of nodes whose threads died of a bug (its traceback is on stderr).
    """

    def __init__(
        self,
        graph: Graph,
        extra: dict[str, dict[str, Any]] | None = None,
        stop: Event | None = None,
    ) -> None:
        """Build every node: this checks models, robot, port and source.

        Args:
            graph: what to build.
            extra: more constructor arguments by node name (tests, an opened source).
            stop: once it is set, nothing more is built.

        Raises:
            StartStoppedError: `stop` was set meanwhile; nothing is left running.
            KfImitationError: what the user asked for is not possible; nothing is left running.
        """
        self._switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        start_ros([], foreign_images=any(spec.foreign_images for spec in graph.nodes))
        self.nodes: dict[str, KfNode] = {}
        self.crashed: set[str] = set()
        self._closing = Event()
        self._threads: list[Thread] = []
        self._executors: dict[str, SingleThreadedExecutor] = {}
        links: dict[str, dict[str, Any]] = {spec.name: {} for spec in graph.nodes}
        for argument, pair in PAIRS.items():
            if links.keys() >= set(pair):
                between: Handover[Any] = Handover()
                for name in pair:
                    links[name][argument] = between
        try:
            for spec in graph.nodes:
                if spec.name in OWN_PROCESS:
                    continue
                if stop is not None and stop.is_set():
                    raise StartStoppedError
                self.nodes[spec.name] = spec.node_class()(
                    overrides=spec.parameters,
                    namespace=graph.namespace or None,
                    use_global_arguments=False,
                    **links[spec.name],
                    **(extra or {}).get(spec.name, {}),
                )
                self._start(spec.name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> 'Composition':
        """Return itself; the nodes run already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all."""
        self.close()

    @property
    def finished(self) -> bool:
        """Whether a node that the head needs wants the run to end."""
        return any(n.finished.is_set() for name, n in self.nodes.items() if name not in SIDE)

    @property
    def fault(self) -> KfImitationError | None:
        """Why a node gave up; None when all is well."""
        return next((node.fault for node in self.nodes.values() if node.fault), None)

    def ledger(self, name: str) -> Ledger:
        """Return a node's ledger; an empty one where the graph lacks the node."""
        return self.nodes[name].ledger if name in self.nodes else Ledger()

    def close(self) -> None:
        """Put the servos to rest, close files and devices, end all threads; may be called twice.

        Every node keeps its executor until all are closed, so that the last states are recorded.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        for name in _CLOSING_ORDER:
            if name in self.nodes:
                self._wait_until_quiet(self.nodes[name])
                self.nodes[name].close()
        for executor in self._executors.values():
            executor.shutdown(timeout_sec=2.0)
        for thread in self._threads:
            thread.join(timeout=5.0)
        for node in self.nodes.values():
            node.destroy_node()
        end_ros()
        sys.setswitchinterval(self._switch_interval_s)

    def _start(self, name: str) -> None:
        node = self.nodes[name]
        if executor := self._executors.get(IN_THREAD_OF.get(name, '')):
            executor.add_node(node)
            return
        executor = self._executors[name] = SingleThreadedExecutor()
        executor.add_node(node)
        thread = Thread(target=self._spin, args=(executor, node), name=name)
        self._threads.append(thread)
        thread.start()

    def _wait_until_quiet(self, node: KfNode) -> None:
        deadline_s = monotonic() + QUIET_TIMEOUT_S
        while not node.quiet and monotonic() < deadline_s:
            sleep(0.02)

    def _spin(self, executor: SingleThreadedExecutor, node: KfNode) -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except InvalidHandle:
            # Shut down in the middle of a callback, whose end rclpy does not wait for.
            if not self._closing.is_set():
                raise
        finally:
            # spin() only returns here when it is shut down; anything else is a bug in a callback.
            if not self._closing.is_set():
                name = node.get_name()
                self.crashed.add(name)
                if name in SIDE:
                    print(f'kf_imitation: {name} has ended; the head goes on', file=sys.stderr)
            node.finished.set()
