"""What every node shares: parameters from the schema, diagnostics, an orderly end."""

import os
import socket
from collections.abc import Callable, Mapping
from threading import Event
from time import monotonic
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.timer import Timer

from kf_imitation.errors import ConfigError, KfImitationError
from kf_imitation.nodes.descriptors import descriptor, typed
from kf_imitation.parameters.definition import Value, renamed
from kf_imitation.parameters.schema import SCHEMA, former_names_text
from kf_imitation.pipeline.statistics import KEPT, Ledger

# Of the times, /diagnostics shows those of about the last ten seconds.
RECENT = 300
PROCESS = f'{socket.gethostname()}:{os.getpid()}'  # tells nodes of one name apart
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class KfNode(Node):  # type: ignore[misc]
    """A node of this package.

    Attributes:
        settings: current values of the schema's parameters by dotted name.
        ledger: times and counts of this node.
        finished: the node has done its work (end of a file) and wants the run to end.
        fault: why it gave up, for the user; None when all is well.
    """

    def __init__(
        self, section: str, overrides: Mapping[str, Value] | None = None, **options: Any
    ) -> None:
        """Declare the parameters of a section of the schema.

        Args:
            section: of params.SCHEMA; also the node's name.
            overrides: values that override parameter files.
            options: handed to rclpy.node.Node (namespace, context, cli_args …).

        Raises:
            ConfigError: with every faulty value.
        """
        given = [RosParameter(name, value=value) for name, value in (overrides or {}).items()]
        super().__init__(section, parameter_overrides=given, **options)
        self.ledger = Ledger()
        self.finished = Event()
        self.fault: KfImitationError | None = None
        self._started = monotonic()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._marks: dict[str, tuple[float, int]] = {}
        self._table = {parameter.name: parameter for parameter in SCHEMA[section]}
        self.settings = self._declare()
        self.add_pre_set_parameters_callback(self._present_names)
        self.add_on_set_parameters_callback(self._check_change)
        self.add_post_set_parameters_callback(self._apply_change)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self.steady_timer(1.0, self.publish_diagnostics)

    def status(self) -> tuple[bytes, str, dict[str, object]]:
        """Return level, the state in one sentence and extra values, for /diagnostics."""
        raise NotImplementedError

    def on_settings(self, changed: Mapping[str, Value]) -> None:
        """React to a live change; settings hold the new values already."""

    def refusal(self, name: str, value: Value) -> str:
        """Return why a good value cannot be set now; '' if it can."""
        return ''

    def absence(self) -> str:
        """Return why the node had no part in what it is for, and what to do; '' if it had.

        Asked before close(); a run of which that is true does not end as success.
        """
        return ''

    @property
    def quiet(self) -> bool:
        """Whether nothing more is to be taken in before closing (a recorder waits for the end)."""
        return True

    def close(self) -> None:
        """Let go of devices and files; called once, while the context still lives.

        In a Composition the executor goes on meanwhile, in another thread.
        """

    def setting(self, name: str, kind: type) -> Any:
        """Return a value, which the schema promises to be of this type."""
        value = self.settings[name]
        assert isinstance(value, kind), name
        return value

    def now_ns(self) -> int:
        """Return the time of ROS, by which messages are stamped."""
        return int(self.get_clock().now().nanoseconds)

    def steady_timer(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Return a timer that ticks by real time, also where ROS time is a bag's and stands."""
        return self.create_timer(period_s, callback, clock=self._steady)

    def destroy_later(self, *entities: Any) -> None:
        """Destroy subscriptions and timers in the thread of the executor, once it comes to it.

        An executor of another thread (Composition.close) may be about to wait for them, and falls
        over what is gone. Until then they may still be called.
        """
        for entity in entities:
            is_timer = isinstance(entity, Timer)
            destroy = self.destroy_timer if is_timer else self.destroy_subscription
            if self.executor is None:
                destroy(entity)
            else:
                self.executor.create_task(destroy, entity)

    def fail(self, fault: KfImitationError) -> None:
        """Give up with a message for the user."""
        self.fault = fault
        self.finished.set()

    def publish_diagnostics(self) -> None:
        """Publish one status with the ledger's counts and times; also callable at the end."""
        level, sentence, values = self.status()
        pairs = {'process': PROCESS, **values, **self.ledger_values(RECENT)}
        status = DiagnosticStatus(
            level=level,
            name=f'kf_imitation: {self.get_name()}',
            message=sentence,
            hardware_id=self.get_fully_qualified_name(),
            values=[KeyValue(key=key, value=str(value)) for key, value in pairs.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def ledger_values(self, newest: int) -> dict[str, object]:
        """Return counts, and in words the percentiles of the newest observations."""
        values: dict[str, object] = dict(self.ledger.counts())
        for name, times in self.ledger.times(newest).items():
            values[f'{name} p50 / p99 [ms]'] = f'{times.p50_ms:.2f} / {times.p99_ms:.2f}'
        return values

    def summary(self) -> str:
        """Return counts and times in one line, for the end of a run."""
        return ', '.join(f'{name}: {value}' for name, value in self.ledger_values(KEPT).items())

    def rate_hz(self, name: str) -> float:
        """Return how fast a count of the ledger grew since the last call for it."""
        now, count = monotonic(), self.ledger.count(name)
        then, before = self._marks.get(name, (self._started, 0))
        self._marks[name] = (now, count)
        return (count - before) / max(now - then, 1e-3)

    def _declare(self) -> dict[str, Value]:
        """Declare all, report all problems at once, then fix type and bounds of each."""
        loose = ParameterDescriptor(dynamic_typing=True)
        values: dict[str, Value] = {}
        problems: list[str] = []
        former = self._former_overrides()
        for name, parameter in self._table.items():
            default = former.get(name, parameter.default)
            value = self.declare_parameter(name, default, loose).value
            if problem := parameter.problem(value):
                problems.append(f'{self.get_name()}.{problem}')
            values[name] = typed(parameter, value)
        if problems:
            error = ConfigError(f'parameters of node {self.get_name()}', problems)
            self.destroy_node()
            raise error
        for name, parameter in self._table.items():
            self.set_descriptor(name, descriptor(parameter))
        return values

    def _former_overrides(self) -> dict[str, Value]:
        """Return values given under the names of the last release, by present name; warn once."""
        given: dict[str, Value] = {}
        for parameter in self._table.values():
            if parameter.former_name:
                loose = ParameterDescriptor(dynamic_typing=True)
                value = self.declare_parameter(parameter.former_name, None, loose).value
                self.undeclare_parameter(parameter.former_name)
                if value is not None:
                    given[parameter.former_name] = value
        values, former = renamed(self._table.values(), given)
        if former:
            self.get_logger().warning(former_names_text(former))
        return values

    def _present_names(self, changes: list[RosParameter]) -> list[RosParameter]:
        """Take `ros2 param set` of a name of the last release for the present one."""
        _, former = renamed(self._table.values(), {change.name: None for change in changes})
        if not former:
            return changes
        self.get_logger().warning(former_names_text(former))
        return [
            RosParameter(former.get(change.name, change.name), change.type_, change.value)
            for change in changes
        ]

    def _check_change(self, changes: list[RosParameter]) -> SetParametersResult:
        for change in changes:
            parameter = self._table.get(change.name)
            if parameter is None:
                continue
            if problem := parameter.problem(change.value):
                return SetParametersResult(successful=False, reason=problem)
            if not parameter.live:
                reason = f'{change.name} is read at start only; stop, set it, start again'
                return SetParametersResult(successful=False, reason=reason)
            if refusal := self.refusal(change.name, change.value):
                return SetParametersResult(successful=False, reason=refusal)
        return SetParametersResult(successful=True)

    def _apply_change(self, changes: list[RosParameter]) -> None:
        changed = {
            change.name: typed(self._table[change.name], change.value)
            for change in changes
            if change.name in self._table
        }
        self.settings.update(changed)
        if changed:
            self.on_settings(changed)
