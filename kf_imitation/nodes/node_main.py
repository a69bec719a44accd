"""The start of ROS, and the main of every node: run it until it ends, fails or has to stop."""

import signal
import sys
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from kf_imitation.errors import KfImitationError
from kf_imitation.nodes.node_base import KfNode
from kf_imitation.ros_graph.environment import apply_defaults

# Launch kills what is still there 5 s after Ctrl-C.
QUIET_TIMEOUT_S = 4.0


def start_ros(
    args: list[str] | None = None, context: Context | None = None, foreign_images: bool = False
) -> None:
    """Begin with ROS, whoever starts the program; signals stay with it.

    The only place that does: by default no other machine on the network finds the head.

    Args:
        args: of the command line; None takes those of the process.
        context: None takes the common one.
        foreign_images: those of another package's camera come into this process.

    Raises:
        KfImitationError: it does not start: environment, arguments or parameter files.
    """
    apply_defaults(foreign_images)
    try:
        rclpy.init(args=args, context=context, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl: several lines with places in its source
        reason = str(error).replace(', at ', '\n').splitlines()[0]
        raise KfImitationError(f'ROS does not start: {reason}') from error


def end_ros() -> None:
    """End what start_ros() began in the common context; it can begin again."""
    rclpy.try_shutdown()


def catch_stop_signals(stop: Event) -> None:
    """Set an event on Ctrl-C, a closed terminal or kill, from now to the end of the process.

    A second signal changes nothing: the servos are on their way to rest.
    """
    # A signal may come while this thread is in wait(), with the lock that set() takes: another
    # thread sets the event. Of all queues this one may be put to in a signal handler.
    signals: SimpleQueue[int] = SimpleQueue()

    def tell() -> None:
        signals.get()
        stop.set()

    Thread(target=tell, name='stop signals', daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda came, _: signals.put(came))


def run_node(make: Callable[[], KfNode], args: list[str] | None = None) -> int:
    """Run one node as a process of its own until it ends, fails or is asked to stop.

    Signals set an event instead of tearing the context down, so that a node can still publish
    and put its hardware to rest.

    Returns:
        Exit code: 0; 2 after a fault, or of a node that had no part in what it is for. Either is
        on stderr in one clear message.
    """
    try:
        start_ros(args)
    except KfImitationError as error:
        print(f'kf_imitation: {error}', file=sys.stderr)
        return 2
    stop = Event()
    node: KfNode | None = None
    fault: KfImitationError | None = None
    catch_stop_signals(stop)
    executor = SingleThreadedExecutor()
    try:
        node = make()
        executor.add_node(node)
        while not stop.is_set() and not node.finished.is_set():
            executor.spin_once(timeout_sec=0.1)
        deadline_s = monotonic() + QUIET_TIMEOUT_S
        while not node.quiet and monotonic() < deadline_s:
            executor.spin_once(timeout_sec=0.1)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except KfImitationError as error:
        fault = error
    finally:
        if node is not None:
            absence = node.absence()
            node.close()
            fault = fault or node.fault or (KfImitationError(absence) if absence else None)
            if fault is None and (summary := node.summary()):
                node.get_logger().info(summary)
            executor.remove_node(node)
            node.destroy_node()
        executor.shutdown()
        end_ros()
    if fault is not None:
        print(f'kf_imitation: {fault}', file=sys.stderr)
        return 2
    return 0
