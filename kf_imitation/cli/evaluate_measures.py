"""The two measures of `evaluate`: keyframes, imitation."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch

from kf_imitation.cli.progress import progress
from kf_imitation.cli.terminal import show_tables, takes_stdout, write_json
from kf_imitation.errors import ConfigError
from kf_imitation.evaluation import datasets
from kf_imitation.evaluation.clip_scores import clip_name, score_clips, with_faces
from kf_imitation.evaluation.evaluate import (
    as_json,
    clip_table,
    curve_table,
    dump,
    evaluate,
    means_table,
)
from kf_imitation.evaluation.imitation import results as imitation_results
from kf_imitation.evaluation.imitation.clip import ClipReader
from kf_imitation.evaluation.imitation.figures import ImitationMetrics
from kf_imitation.evaluation.imitation.imitator import Imitator
from kf_imitation.evaluation.imitation.rests import with_rests
from kf_imitation.evaluation.imitation.tuning import THRESHOLDS, search, tuning_table
from kf_imitation.evaluation.intervals import intervals_table
from kf_imitation.evaluation.labels import find_clips
from kf_imitation.evaluation.methods import load_methods
from kf_imitation.evaluation.tune import tune
from kf_imitation.keyframe.selection.selector import CAUSAL
from kf_imitation.output_files import check_folder, check_free, new_folder
from kf_imitation.pipeline.face_pipeline import detector_settings, face_settings
from kf_imitation.robot import load_robot
from kf_imitation.ros_graph.nodes import merged_parameters


def measure_keyframes(args: argparse.Namespace) -> None:
    """Measure how well keyframes are found; print tables, write files.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    _check(args)
    values = merged_parameters(args.params)['keyframe']
    names = [name for name in args.methods.split(',') if name]
    settings = replace(detector_settings(values), mode='peak')  # what the measures are about
    methods = load_methods(names, settings, args.threads)
    if args.json is not None and not takes_stdout(args.json):
        check_free(args.json, args.overwrite)
    if args.dump is not None:
        check_folder(args.dump, args.overwrite)
    found = {clip.name: clip for clip in datasets.find(args.directory, args.labels, labelled=True)}
    if args.clips:
        found = _chosen(found, [pattern for pattern in args.clips.split(',') if pattern])
    kept, left_out = with_faces({name: clip.labels for name, clip in found.items()})
    _report_left_out(left_out)
    with progress('clips', len(kept), 'clips', args.quiet) as bar:
        clips = score_clips(
            args.directory,
            [found[name].video for name in kept],
            names,
            face_settings(values),
            args.threads,
            args.jobs,
            bar.step,
            {found[name].video: found[name].labels for name in kept},
        )
    if args.tune:
        for method in methods:
            show_tables(tune(method, clips), width=120)
        return
    results = [evaluate(method, clips) for method in methods]
    people = {name: found[name].person or name for name in kept}
    clips_of = {r.method.name: r.clips for r in results}
    intervals = [intervals_table(clips_of, people)] if len(set(people.values())) > 1 else []
    if not takes_stdout(args.json):
        show_tables(
            *map(clip_table, results),
            curve_table(results),
            means_table(results),
            *intervals,
            width=120,
        )
    if args.dump is not None:
        with new_folder(args.dump, args.overwrite) as folder:
            dump(folder, methods, clips)
    write_json(as_json(results, people, left_out), args.json)


def measure_imitation(args: argparse.Namespace) -> None:
    """Measure how well keyframes are imitated; print tables, write files.

    Raises:
        KfImitationError: bad input; nothing is left behind.
    """
    if args.json is not None and not takes_stdout(args.json):
        check_free(args.json, overwrite=True)  # figures are made again and again
    if args.video is not None and not args.video.is_dir():
        check_free(args.video)
    thresholds = _thresholds(args.tune_travel)
    if args.rests and args.video is not None:
        raise ConfigError('--rests', ['no video shows the rests, leave --video out'])
    values = merged_parameters(args.params)
    robot = load_robot(args.robot or str(values['servo']['robot']))
    found = {
        clip_name(args.imitation, path): path for path in find_clips(args.imitation)[:: args.every]
    }
    kept, left_out = with_faces({n: path.with_suffix('.npz') for n, path in found.items()})
    _report_left_out(left_out)
    clips = [found[name] for name in kept]
    imitator, reader = Imitator(robot, values), ClipReader(values)
    methods = imitator.methods([m for m in args.imitation_methods.split(',') if m])
    if args.tune_travel:
        read = []
        with progress('read', len(clips), 'clips', args.quiet) as bar:
            for path in clips:
                read.append(reader.read(path, args.most))
                bar.step(path.stem)
        with progress('tune', len(CAUSAL) * len(thresholds), 'trials', args.quiet) as bar:
            trials = search(read, imitator, args.channels, thresholds, bar.step)
        show_tables(tuning_table(trials), width=130)
        return
    results: dict[str, dict[str, ImitationMetrics]] = {name: {} for name in methods}
    with progress('clips', len(clips), 'clips', args.quiet) as bar:
        for path in clips:
            clip = reader.read(path, args.most)
            if args.rests:
                clip = with_rests(clip)
            for method, by_clip in results.items():
                by_clip[clip.name] = imitator.measure(clip, method, args.channels)
            if args.video is not None:
                out = args.video / f'{path.stem}.mp4'
                imitator.write_video(out, path, clip, _shown(args, imitator), args.channels)
            bar.step(path.stem)
    if not takes_stdout(args.json):
        show_tables(
            imitation_results.results_table(results, robot.name, len(clips), args.channels),
            imitation_results.size_table(results),
            imitation_results.signal_table(results, _shown(args, imitator)),
            width=110,
        )
    document = imitation_results.as_json(results, robot.name, args.channels, imitator.settings)
    write_json(document, args.json)


def _chosen(
    clips: Mapping[str, datasets.Clip], patterns: Sequence[str]
) -> dict[str, datasets.Clip]:
    """Return the clips whose names fit a pattern.

    Raises:
        ConfigError: a pattern fits none.
    """
    useless = [p for p in patterns if not any(fnmatch(name, p) for name in clips)]
    if useless:
        raise ConfigError('--clips', [f'no labelled clip is called {p}' for p in useless])
    return {n: c for n, c in clips.items() if any(fnmatch(n, p) for p in patterns)}


def _shown(args: argparse.Namespace, imitator: Imitator) -> str:
    """Return the method that is shown in full: the first one named, else the default mode."""
    chosen = [name for name in args.imitation_methods.split(',') if name]
    return chosen[0] if chosen else imitator.settings.mode


def _check(args: argparse.Namespace) -> None:
    problems = []
    if args.directory is None:
        problems.append('DIR is missing: name a folder of labelled clips (or give --imitation)')
    problems += [
        f'--{name} = {getattr(args, name)} must be 1 or more'
        for name in ('threads', 'jobs')
        if getattr(args, name) < 1
    ]
    if problems:
        raise ConfigError('evaluate', problems)


def _thresholds(text: str) -> list[float]:
    """Read the thresholds of --tune-travel; `grid` stands for our own.

    Raises:
        ConfigError: one is not a number of 0.01 or more.
    """
    if text == 'grid':
        return list(THRESHOLDS)
    try:
        thresholds = [float(part) for part in text.split(',') if part]
    except ValueError as error:
        raise ConfigError('--tune-travel', [f'{text!r} must be numbers with commas']) from error
    if not all(threshold >= 0.01 for threshold in thresholds):
        raise ConfigError('--tune-travel', [f'{text!r} must be 0.01 or more each'])
    return thresholds


def _report_left_out(names: Sequence[str]) -> None:
    for name in names:
        print(f'{name} is left out: fewer than half of its frames show a face', file=sys.stderr)
