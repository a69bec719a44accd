"""Model files: found by name in models/manifest.yaml, checked, run with bounded threads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from kf_imitation.errors import ModelError
from kf_imitation.model_files import find_model_file

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
            manifest: another manifest than the package's own; files lie next to it.

        Raises:
            ModelError: unknown name, missing or altered file, or a file that is no model.
        """
        entry, file = find_model_file('models', name, manifest)
        return cls(name, entry, file, threads)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            feeds: arrays by input name, with the shapes and dtypes of the manifest.

        Returns:
            Arrays by output name.
        """
        return dict(zip(self._output_names, self._session.run(None, dict(feeds)), strict=True))
