"""A graph in float32 → the same with its dense layers in int8: twice as fast, a quarter of the size.

Weights become whole numbers once, each column by a scale of its own. What goes into a layer becomes whole numbers at each call,
by one scale for all of it, as that is the form that onnxruntime has a fused kernel for. A single loud token would leave little of
the others, so each token is first divided by its own largest value and its product multiplied by that again, which halves the error.

A processor with AVX2 and no VNNI adds each two products in 16 bits, which 8 and 8 bits may overflow, and what is found must not
depend on the machine. The scale of a column therefore leaves room for its largest pair of weights (``PAIR_STEPS``), which costs
half a bit where the usual way, weights of 7 bits, costs one. The table of words is kept in int8 too: no slower, and 35 MB less.

onnxruntime's own ``quantize_dynamic`` has no scale for each token, and the shapes that it notes in the graph make onnxruntime
choose a slow kernel for the layer norms (a fifth of the time). ``docs/benchmarks.md`` has the figures of both.

Imports onnx, which is heavy; import this file where a model is built, nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from proxy.errors import ModelError
from proxy.memory.onnx_graph import save

OLDEST_OPSET, NEWEST_OPSET = 11, 17
"""From the first with ``DynamicQuantizeLinear`` to the last in which ``ReduceMax`` has its axes as an attribute."""

STEPS = 127
PAIR_STEPS = 128
"""255 × 128 is the most that two products of a byte and a weight may add up to, in 16 bits with a sign."""

Array = Any


def to_int8(graph: Path, target: Path) -> None:
    """Write *target*, the int8 form of the model in *graph*. Raises ``ModelError`` if that has no dense layer in float32."""
    try:
        model = _Int8(onnx.load(graph)).build()
    except Exception as exc:
        raise ModelError(f"{graph}: can't be made int8: {exc!r}") from exc
    save(model, target)


def dense_in_steps(weights: Array) -> tuple[Array, Array]:
    """*weights* of a layer, [in, out], as whole numbers, and the scale of each column."""
    sizes = np.abs(weights)
    pairs = sizes[::2] + np.pad(sizes[1::2], ((0, len(sizes) % 2), (0, 0)))
    return _in_steps(weights, np.maximum(sizes.max(0) / STEPS, pairs.max(0) / PAIR_STEPS))


def table_in_steps(table: Array) -> tuple[Array, Array]:
    """*table* as whole numbers, and the scale of each row."""
    return _in_steps(table, np.abs(table).max(1, keepdims=True) / STEPS)


def _in_steps(values: Array, scale: Array) -> tuple[Array, Array]:
    scale = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale


@dataclass
class _Int8:
    """One graph under conversion: ``_dense`` and ``_look_up`` write down their node anew, everything else stays."""

    model: onnx.ModelProto
    weights: dict[str, Array] = field(init=False)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: dict[str, _Input] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.weights = {
            each.name: numpy_helper.to_array(each)
            for each in self.model.graph.initializer
            if each.data_type == TensorProto.FLOAT and len(each.dims) == 2
        }

    def build(self) -> onnx.ModelProto:
        opset = next(each.version for each in self.model.opset_import if not each.domain)
        if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
            raise ValueError(f"it is of opset {opset}, not {OLDEST_OPSET} to {NEWEST_OPSET}")
        for node in self.model.graph.node:
            if node.op_type == "MatMul" and node.input[1] in self.weights:
                self._dense(node)
            elif node.op_type == "Gather" and node.input[0] in self.weights:
                self._look_up(node)
            else:
                self.nodes.append(node)
        if not self.inputs:
            raise ValueError("it has no dense layer in float32")
        return self._rewritten()

    def _rewritten(self) -> onnx.ModelProto:
        graph = self.model.graph
        used = {name for node in self.nodes for name in node.input}
        kept = [each for each in graph.initializer if each.name in used]
        made = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        new = helper.make_graph(self.nodes, graph.name, graph.input, graph.output, [*kept, *made])
        return helper.make_model(new, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)

    def _dense(self, node: onnx.NodeProto) -> None:
        (value, weight), [product] = node.input, node.output
        given = self._input(value)
        numbers, scale = self._stored(weight, dense_in_steps)
        whole = self._node("MatMulInteger", given.numbers, numbers, given.zero, name=f"{product}.whole")
        scales = self._node("Mul", given.scale, scale, name=f"{product}.scale")
        shrunk = self._node("Mul", self._float(whole), scales, name=f"{product}.shrunk")
        self._node("Mul", shrunk, given.largest, name=product)

    def _input(self, value: str) -> _Input:
        """*value* in whole numbers, once for all layers that read it."""
        if value not in self.inputs:
            sizes = self._node("Abs", value, name=f"{value}.sizes")
            largest = self._node("ReduceMax", sizes, name=f"{value}.largest", axes=[-1], keepdims=1)
            shrunk = self._node("Div", value, largest, name=f"{value}.shrunk")
            given = self.inputs[value] = _Input(f"{value}.numbers", f"{value}.scale", f"{value}.zero", largest)
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [shrunk], [given.numbers, given.scale, given.zero]))
        return self.inputs[value]

    def _look_up(self, node: onnx.NodeProto) -> None:
        (table, places), [found] = node.input, node.output
        numbers, scale = self._stored(table, table_in_steps)
        whole = self._float(self._node("Gather", numbers, places, name=f"{found}.whole"))
        self._node("Mul", whole, self._node("Gather", scale, places, name=f"{found}.scale"), name=found)

    def _stored(self, weight: str, in_steps: Callable[[Array], tuple[Array, Array]]) -> tuple[str, str]:
        names = f"{weight}.int8", f"{weight}.scale"
        self.constants |= zip(names, in_steps(self.weights[weight]), strict=True)
        return names

    def _float(self, numbers: str) -> str:
        return self._node("Cast", numbers, name=f"{numbers}.float", to=TensorProto.FLOAT)

    def _node(self, op: str, *inputs: str, name: str, **attributes: Any) -> str:
        """The name of its result, *name*."""
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name


@dataclass(frozen=True, slots=True)
class _Input:
    """The names of what a layer reads: its *numbers*, their *scale* and *zero*, and the *largest* value of each token."""

    numbers: str
    scale: str
    zero: str
    largest: str
