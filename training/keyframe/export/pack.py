"""Weights stored small: int8 or float16 in the file, float32 once it is loaded."""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST_PACKED = 2048


def pack_weights(model: onnx.ModelProto) -> None:
    """Replace large float32 weights by int8 or float16 ones that are cast back on loading."""
    graph = model.graph
    outputs_first = set()
    for node in graph.node:
        transposed = any(a.name == 'transB' and a.i for a in node.attribute)
        if node.op_type == 'Conv' or (node.op_type == 'Gemm' and transposed):
            outputs_first.add(node.input[1])
    kept, new, nodes = [], [], []
    for weight in graph.initializer:
        size = math.prod(weight.dims)
        # What has one dimension are scales and biases: they stay exact.
        small = size < SMALLEST_PACKED or len(weight.dims) < 2
        if weight.data_type != TensorProto.FLOAT or small:
            kept.append(weight)
            continue
        value, name = numpy_helper.to_array(weight), weight.name
        if weight.name in outputs_first and _is_large(value):
            scale = np.abs(value).reshape(len(value), -1).max(axis=1) / 127
            scale = np.maximum(scale, 1e-12).reshape(-1, *[1] * (value.ndim - 1))
            packed = np.rint(value / scale).astype(np.int8)
            new.append(numpy_helper.from_array(packed, name + '_int8'))
            new.append(numpy_helper.from_array(scale.astype(np.float32), name + '_scale'))
            cast = helper.make_node(
                'Cast', [name + '_int8'], [name + '_float'], to=TensorProto.FLOAT
            )
            nodes += [cast, helper.make_node('Mul', [name + '_float', name + '_scale'], [name])]
        else:
            new.append(numpy_helper.from_array(value.astype(np.float16), name + '_half'))
            nodes.append(helper.make_node('Cast', [name + '_half'], [name], to=TensorProto.FLOAT))
    everything = [*nodes, *graph.node]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(everything)
    graph.initializer.extend([*kept, *new])


def _is_large(weight: np.ndarray) -> bool:
    """Distinguish ResNet-50's many weights from the motion part's few, which stay finer."""
    outputs, inputs = weight.shape[:2]
    return outputs * inputs >= 64 * 256 or (outputs * inputs >= 64 * 64 and weight.ndim == 2)
