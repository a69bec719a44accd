"""Model files: found by name in models/manifest.yaml, checked, run with bounded threads."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from kf_imitation.errors import ModelError
from kf_imitation.paths import share_path

Array = np.ndarray[Any, np.dtype[Any]]

# onnxruntime's own errors share no base class; these are the ones of a file that is no good.
_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class OnnxModel:
    """One ONNX file of the manifest.

    Attributes:
        name: in the manifest.
        entry: its manifest section (inputs, preprocessing, outputs, measured figures …).
    """

    def __init__(self, name: str, entry: Mapping[str, Any], file: Path, threads: int) -> None:
        self.name = name
        self.entry = entry
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Between two layers worker threads spin, which saves a fifth of the time of a network of
        # many small layers; between two runs they sleep: otherwise they would starve the bus
        # thread and the camera.
        options.add_session_config_entry('session.intra_op.allow_spinning', '1')
        options.add_session_config_entry('session.force_spinning_stop', '1')
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=['CPUExecutionProvider']
            )
        except _LOAD_ERRORS as error:
            raise ModelError(f'model {name} ({file}) cannot be loaded: {error}') from error
        self._output_names = [output.name for output in self._session.get_outputs()]
        self.input_shapes = {i.name: tuple(i.shape) for i in self._session.get_inputs()}

    @classmethod
    def load(cls, name: str, threads: int = 2, manifest: Path | None = None) -> 'OnnxModel':
        """Load a model by its name in the manifest.

        Args:
            name: key in the manifest.
            threads: for the runtime, 1 or more.
            manifest: another manifest than the package's own; files lie beside it.

        Raises:
            ModelError: unknown name, missing or altered file, or a file that is no model.
        """
        path = manifest or share_path('models/manifest.yaml')
        models = _read_manifest(path)
        if name not in models:
            raise ModelError(f'model {name} is not in {path} (there: {", ".join(models)})')
        entry = models[name]
        file = path.parent / entry['file']
        if not file.is_file():
            raise ModelError(f'model {name}: {file} is missing')
        digest = _sha256(file, file.stat().st_mtime_ns)
        if digest != entry['sha256']:
            raise ModelError(
                f'model {name}: {file} is altered: sha256 {digest[:12]}…, '
                f'the manifest says {entry["sha256"][:12]}…'
            )
        return cls(name, entry, file, threads)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            feeds: arrays by input name, with the shapes and dtypes of the manifest.

        Returns:
            Arrays by output name.
        """
        return dict(zip(self._output_names, self._session.run(None, dict(feeds)), strict=True))


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {error.strerror}') from error
    except yaml.YAMLError as error:
        raise ModelError(f'{path} is not YAML: {error}') from error
    models = document.get('models') if isinstance(document, dict) else None
    if not isinstance(models, dict):
        raise ModelError(f'{path} must have a mapping models')
    return models


@cache
def _sha256(file: Path, modified_ns: int) -> str:
    """Hash a file; the time of its last change is part of the cache key."""
    del modified_ns
    return hashlib.sha256(file.read_bytes()).hexdigest()
