"""`kf_imitation params`: keep what was tuned while a graph ran."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kf_imitation.cli.options import add_namespace, add_overwrite
from kf_imitation.errors import counted
from kf_imitation.output_files import check_free, new_file
from kf_imitation.paths import user_path
from kf_imitation.ros_graph.environment import quiet_logging, ros_needed

if TYPE_CHECKING:
    from kf_imitation.parameters.definition import Value

# What the graph works out for one run, or what names that run's own files.
ONE_RUN = {
    'camera': ('source', 'realtime', 'lossless', 'wait_for'),
    'keyframe': ('lossless', 'learn_neutral'),
    'landmarks': ('most_latency_s',),
    'servo': ('most_latency_s',),
    'avatar': ('robot',),
    'foxglove': ('robot',),
    'cockpit': ('robot', 'address', 'port', 'controls'),
    'recorder': ('directory', 'topics', 'images'),
}
# Nodes that belong to one playing of one bag.
ONE_RUN_NODES = ('player',)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    save = actions.add_parser(
        'save', help='write the parameters of running nodes that differ from the defaults'
    )
    save.add_argument(
        '--out',
        type=user_path,
        default=Path('params.yaml'),
        metavar='FILE',
        help='to write (default: params.yaml)',
    )
    add_overwrite(save)
    save.add_argument('--all', action='store_true', help='also those that are at their default')
    add_namespace(save, default=None)
    save.add_argument(
        '--timeout',
        type=_seconds,
        default=10.0,
        metavar='S',
        help='longest wait for all nodes, and for each answer',
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise ValueError(text)
    return value


_seconds.__name__ = 'number of seconds above 0'  # argparse names it in its message


def run(args: argparse.Namespace) -> int:
    """Save.

    Raises:
        KfImitationError: no graph runs, a node does not answer, or the file is in the way.
    """
    from kf_imitation.parameters.schema import load_file

    check_free(args.out, args.overwrite)
    quiet_logging()
    with ros_needed():
        from kf_imitation.nodes.parameter_reader import read_parameters
    graph = read_parameters(args.namespace, args.timeout)
    kept = worth_keeping(graph.values, args.all)
    with new_file(args.out, args.overwrite) as file:
        write(file, kept)
        load_file(file)  # what is written can be read back
    for node, values in kept.items():
        for name, value in values.items():
            print(f'{node}: {name} = {value}')
    count = sum(len(values) for values in kept.values())
    use = f'--params {shlex.quote(str(args.out))}'
    print(f'{counted(count, "parameter")} in {args.out}; use with {use}')
    print(f'asked: {", ".join(graph.values)}')
    if graph.missing:
        print(f'not found within {args.timeout:g} s (--timeout): {", ".join(graph.missing)}')
    return 0


def worth_keeping(
    values: Mapping[str, Mapping[str, 'Value']], everything: bool = False
) -> dict[str, dict[str, 'Value']]:
    """Return what belongs into a file of the user's: no default, nothing of this run alone.

    Args:
        values: by node and dotted name, as the nodes have them.
        everything: keep the defaults too.
    """
    from kf_imitation.ros_graph.nodes import merged_parameters

    shipped = merged_parameters()
    kept = {
        node: {
            name: value
            for name, value in section.items()
            if name not in ONE_RUN.get(node, ()) and (everything or value != shipped[node][name])
        }
        for node, section in values.items()
        if node not in ONE_RUN_NODES
    }
    return {node: section for node, section in kept.items() if section}


def write(path: Path, values: Mapping[str, Mapping[str, 'Value']]) -> None:
    """Write a ROS parameter file; it holds in any namespace.

    Args:
        path: to write.
        values: by node and dotted name.
    """
    import yaml

    from kf_imitation.parameters.schema import SCHEMA

    document: dict[str, Any] = {}
    for node, section in values.items():
        tree: dict[str, Any] = {}
        for name, value in section.items():
            *groups, last = name.split('.')
            place = tree
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = value
        document[f'/**/{node}'] = {'ros__parameters': tree}
    assert set(values) <= set(SCHEMA)
    text = '# Saved by: kf_imitation params save. Use it with --params FILE or params:=FILE.\n'
    if document:
        text += yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    else:
        text += '{}\n'  # all at their defaults
    path.write_text(text, encoding='utf-8')
