"""Saved optimised models: onnxruntime optimises a graph once per machine, not at every start.

They lie in $XDG_CACHE_HOME/kf_imitation/models (~/.cache without it), named after all that decides
what the optimiser does: the model's sha256, onnxruntime's version, the processor's features. The
folder may be deleted at any time.
"""

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

# onnxruntime's own errors share no base class; these are the ones of a file that is no good.
LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)

_DIGEST_BYTES = hashlib.sha256().digest_size
_KEPT = 8  # files of one model: other processors on a shared home, other versions


def open_session(
    name: str, digest: str, file: Path, options: Callable[[], onnxruntime.SessionOptions]
) -> onnxruntime.InferenceSession:
    """Open a model as it was optimised before; else optimise and save it.

    Args:
        name: of the model.
        digest: sha256 of the file in hex, known to be right; '' saves nothing.
        file: the model.
        options: makes what the session gets.

    Raises:
        one of LOAD_ERRORS: the file is no model.
    """
    saved = _place(name, digest) if digest else None
    if saved is not None and (optimised := _read(saved)) is not None:
        known = options()
        known.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return _session(optimised, known)
    if saved is not None:
        with suppress(OSError, *LOAD_ERRORS):  # no room, no right: it works without
            saved.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=saved.parent) as folder:
                fresh = options()
                fresh.optimized_model_filepath = f'{folder}/optimised.onnx'
                session = _session(str(file), fresh)
                _write(saved, Path(folder))
            _forget_oldest(saved)
            return session
    return _session(str(file), options())


def cache_folder() -> Path:
    """Return the folder of the saved models; it need not exist."""
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home, 'kf_imitation', 'models')


def _session(
    model: str | bytes, options: onnxruntime.SessionOptions
) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])


def _place(name: str, digest: str) -> Path | None:
    about = f'{digest} {onnxruntime.__version__} {_processor()}'
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    try:
        return cache_folder() / f'{name}-{key}.optimised'
    except RuntimeError:  # no home
        return None


@cache
def _processor() -> str:
    """Return the processor's kind and features, as far as the system tells."""
    with suppress(OSError):
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith(('flags', 'Features')):
                return f'{platform.machine()} {line}'
    return f'{platform.machine()} {platform.processor()}'


def _read(saved: Path) -> bytes | None:
    """Return the saved model; None without one, or with a damaged one."""
    try:
        with saved.open('rb') as file:
            digest, model = file.read(_DIGEST_BYTES), file.read()
    except OSError:
        return None
    return model if hashlib.sha256(model).digest() == digest else None


def _write(saved: Path, folder: Path) -> None:
    """Put what onnxruntime wrote in its place, whole or not at all."""
    model = (folder / 'optimised.onnx').read_bytes()
    whole = folder / 'whole'
    whole.write_bytes(hashlib.sha256(model).digest() + model)
    whole.replace(saved)


def _forget_oldest(saved: Path) -> None:
    name = saved.name.rpartition('-')[0]
    files = sorted(saved.parent.glob(f'{name}-*.optimised'), key=lambda file: file.stat().st_mtime)
    for file in files[:-_KEPT]:
        file.unlink(missing_ok=True)
