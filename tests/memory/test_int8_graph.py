"""The int8 form of a graph: beside the float32 one, and what its whole numbers may be."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import save_file

from proxy.errors import ModelError
from proxy.memory.int8_graph import dense_in_steps, table_in_steps, to_int8
from proxy.memory.onnx_graph import build_graph
from tests.memory.test_onnx_graph import TINY, inputs, run, tiny_weights


@pytest.fixture
def graph(tmp_path):
    """A BERT of two small layers."""
    save_file(tiny_weights(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    build_graph(tmp_path / "model.safetensors", tmp_path / "config.json", tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def int8_weights(graph):
    found = map(numpy_helper.to_array, onnx.load(graph).graph.initializer)
    return [each.astype(np.int32) for each in found if each.dtype == np.int8]


def test_it_computes_nearly_the_same(graph, tmp_path):
    to_int8(graph, tmp_path / "int8.onnx")
    given = inputs(TINY["vocab_size"], TINY["max_position_embeddings"])
    ours, published = (run(each, *given)[given[1] == 1] for each in (tmp_path / "int8.onnx", graph))
    cosines = (ours * published).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(published, axis=1)
    assert cosines.min() > 0.995


def test_each_dense_layer_and_each_table_is_in_int8(graph, tmp_path):
    to_int8(graph, tmp_path / "int8.onnx")
    assert sorted(each.shape for each in int8_weights(tmp_path / "int8.onnx")) == sorted(
        [(30, 8), (2, 8), *[(8, 8)] * 8, *[(8, 16)] * 2, *[(16, 8)] * 2]
    )


def test_two_products_of_the_default_model_fit_into_16_bits(int8_dir):
    """As processors with AVX2 and without VNNI add them: neighbours in pairs, from the first on."""
    layers = [each for each in int8_weights(int8_dir / "model.onnx") if each.shape[0] in {384, 1536}]
    assert len(layers) == 36
    assert max(255 * (np.abs(each[::2]) + np.abs(each[1::2])).max() for each in layers) < 2**15


def test_a_column_of_weights_has_room_for_its_largest_pair():
    numbers, scale = dense_in_steps(np.array([[1.0, 4.0], [1.0, -1.0], [0.5, 0.0]], np.float32))
    assert numbers.tolist() == [[64, 102], [64, -26], [32, 0]]
    assert scale.tolist() == [2 / 128, np.float32(5 / 128)]


def test_a_single_large_weight_takes_all_the_steps():
    numbers, _ = dense_in_steps(np.array([[-1.0], [0.0]], np.float32))
    assert numbers.tolist() == [[-127], [0]]


def test_each_row_of_a_table_has_a_scale_of_its_own():
    numbers, scale = table_in_steps(np.array([[127.0, -1.0], [0.0, 0.0], [0.0, 254.0]], np.float32))
    assert numbers.tolist() == [[127, -1], [0, 0], [0, 127]]
    assert (scale[0], scale[2]) == (1.0, 2.0)


def test_a_graph_that_is_int8_already_is_a_model_error(graph, tmp_path):
    to_int8(graph, tmp_path / "int8.onnx")
    with pytest.raises(ModelError) as failure:
        to_int8(tmp_path / "int8.onnx", tmp_path / "again.onnx")
    reason = "ValueError('it has no dense layer in float32')"
    assert str(failure.value) == f"{tmp_path / 'int8.onnx'}: can't be made int8: {reason}"


def test_a_graph_in_another_version_of_onnx_is_a_model_error(graph, tmp_path):
    model = onnx.load(graph)
    model.opset_import[0].version = 18
    onnx.save(model, tmp_path / "newer.onnx")
    with pytest.raises(ModelError, match="it is of opset 18, not 11 to 17"):
        to_int8(tmp_path / "newer.onnx", tmp_path / "int8.onnx")
