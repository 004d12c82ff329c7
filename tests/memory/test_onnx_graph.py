"""The graph that we write down, against the same maths written down a second time, in numpy, from the same weights."""

import json
from math import erf, sqrt

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file

from proxy.errors import ModelError
from proxy.memory.onnx_graph import build_graph, copy_graph

TINY = {
    "hidden_act": "gelu",
    "hidden_size": 8,
    "intermediate_size": 16,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 12,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": 30,
}


def tiny_weights() -> dict[str, np.ndarray]:
    h, inner, random = TINY["hidden_size"], TINY["intermediate_size"], np.random.default_rng(7)
    shapes = {
        "embeddings.word_embeddings.weight": (TINY["vocab_size"], h),
        "embeddings.position_embeddings.weight": (TINY["max_position_embeddings"], h),
        "embeddings.token_type_embeddings.weight": (TINY["type_vocab_size"], h),
        "embeddings.LayerNorm.weight": (h,),
        "embeddings.LayerNorm.bias": (h,),
    }
    for i in range(TINY["num_hidden_layers"]):
        dense = {"attention.self.query": (h, h), "attention.self.key": (h, h), "attention.self.value": (h, h)}
        dense |= {"attention.output.dense": (h, h), "intermediate.dense": (inner, h), "output.dense": (h, inner)}
        dense |= {"attention.output.LayerNorm": (h,), "output.LayerNorm": (h,)}
        for name, shape in dense.items():
            shapes |= {f"encoder.layer.{i}.{name}.weight": shape, f"encoder.layer.{i}.{name}.bias": shape[:1]}
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def tiny(tmp_path):
    """A folder with the weights and settings of a BERT of two small layers."""
    save_file(tiny_weights(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    return tmp_path


class Bert:
    """Devlin et al. 2018 in float64, step by step, as a reader of the paper would."""

    def __init__(self, folder):
        self.weights = {name: array.astype(np.float64) for name, array in load_file(folder / "model.safetensors").items()}
        self.config = json.loads((folder / "config.json").read_text())

    def __call__(self, ids, mask, types):
        x = self.table("word", ids) + self.table("position", np.arange(ids.shape[1])) + self.table("token_type", types)
        x = self.norm("embeddings.LayerNorm", x)
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(f"encoder.layer.{i}", x, mask)
        return x

    def table(self, name, ids):
        return self.weights[f"embeddings.{name}_embeddings.weight"][ids]

    def dense(self, name, x):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def layer(self, name, x, mask):
        size = x.shape[-1] // self.config["num_attention_heads"]
        query, key, value = (self.dense(f"{name}.attention.self.{each}", x) for each in ("query", "key", "value"))
        heads = []
        for start in range(0, x.shape[-1], size):
            part = slice(start, start + size)
            scores = np.einsum("bqd,bkd->bqk", query[..., part], key[..., part]) / sqrt(size)
            weights = np.exp(np.where(mask[:, None, :] == 1, scores, -np.inf))
            heads.append(weights / weights.sum(-1, keepdims=True) @ value[..., part])
        x = self.norm(
            f"{name}.attention.output.LayerNorm", x + self.dense(f"{name}.attention.output.dense", np.concatenate(heads, -1))
        )
        inner = self.dense(f"{name}.intermediate.dense", x)
        inner = inner * (1 + np.vectorize(erf)(inner / sqrt(2))) / 2
        return self.norm(f"{name}.output.LayerNorm", x + self.dense(f"{name}.output.dense", inner))


def inputs(vocabulary: int, length: int):
    """Two texts, the second one shorter and padded."""
    random = np.random.default_rng(11)
    mask = np.ones((2, length), np.int64)
    mask[1, length // 2 :] = 0
    return random.integers(0, vocabulary, (2, length)), mask, random.integers(0, 2, (2, length))


def run(graph, ids, mask, types):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(["last_hidden_state"], {"input_ids": ids, "attention_mask": mask, "token_type_ids": types})[0]


def assert_graph_is(graph, bert, given):
    """Equal wherever there is a token; what stands at padding is never read."""
    seen = given[1] == 1
    assert np.abs(run(graph, *given)[seen] - bert(*given)[seen]).max() < 1e-5


def test_the_graph_of_a_small_bert_computes_what_the_paper_says(tiny):
    graph = tiny / "model.onnx"
    build_graph(tiny / "model.safetensors", tiny / "config.json", graph)
    assert_graph_is(graph, Bert(tiny), inputs(TINY["vocab_size"], TINY["max_position_embeddings"]))


def test_the_default_model_computes_what_the_paper_says(float_dir, model_weights):
    assert_graph_is(float_dir / "model.onnx", Bert(model_weights), inputs(30522, 40))


def test_a_copied_graph_computes_the_same(tiny):
    build_graph(tiny / "model.safetensors", tiny / "config.json", tiny / "model.onnx")
    copy_graph(tiny / "model.onnx", tiny / "copy.onnx")
    given = inputs(TINY["vocab_size"], 6)
    assert np.array_equal(run(tiny / "copy.onnx", *given), run(tiny / "model.onnx", *given))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_act": "relu"}, """ValueError("hidden_act is 'relu', not 'gelu'")"""),
        ({"num_hidden_layers": 3}, "KeyError('encoder.layer.2.attention.self.query.weight')"),
    ],
)
def test_weights_that_do_not_fit_are_a_model_error(tiny, change, reason):
    (tiny / "config.json").write_text(json.dumps(TINY | change))
    with pytest.raises(ModelError) as failure:
        build_graph(tiny / "model.safetensors", tiny / "config.json", tiny / "model.onnx")
    assert str(failure.value) == f"{tiny / 'model.safetensors'}: is not a BERT encoder that can be built: {reason}"


def test_a_file_that_is_no_graph_is_a_model_error(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"<html>")
    with pytest.raises(ModelError, match="is not an ONNX model"):
        copy_graph(tmp_path / "model.onnx", tmp_path / "copy.onnx")
