"""The encoder as a graph for onnxruntime, made from the packed weights; nothing of it is kept on a disk.

`MatMulNBits` multiplies by weights of 4 bits in blocks of 32 as they stand, with inputs of 8 bits, on the instructions
that the processor has for it; beside it, operators that join what a layer of BERT does anyway.
"""

from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from moderation.screening.e5.packed import BLOCK, Packed

OPERATORS: Final = 17  # of ONNX
CONTRIBUTED: Final = "com.microsoft"
INPUTS_OF_8_BITS: Final = 4  # the level of exactness that `MatMulNBits` is asked for


def session(packed: Packed, *, threads: int) -> onnxruntime.InferenceSession:
    """Takes `embedded` [1, tokens, width] float32, gives `mean` [1, width]: over the last layer's tokens."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = _Encoder(packed).model().SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Encoder:
    def __init__(self, packed: Packed) -> None:
        self._packed, self._sizes = packed, packed.sizes
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        width, row = self._sizes.width, "embedded"
        row = self._normed(row, None, "emb.ln")
        for number in range(self._sizes.layers):
            row = self._layer(f"l{number}.", row)
        self._add("ReduceMean", [row], "mean", axes=[1], keepdims=0)
        given = helper.make_tensor_value_info("embedded", TensorProto.FLOAT, [1, "tokens", width])
        asked = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, width])
        graph = helper.make_graph(self._nodes, "e5", [given], [asked], self._weights)
        versions = [helper.make_opsetid("", OPERATORS), helper.make_opsetid(CONTRIBUTED, 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=10)

    def _layer(self, name: str, row: str) -> str:
        query, key, value = (self._linear(row, name + part, self._sizes.width) for part in "qkv")
        seen = self._add(
            "MultiHeadAttention", [query, key, value], name + "seen", CONTRIBUTED, num_heads=self._sizes.heads
        )
        row = self._normed(row, self._linear(seen, name + "ao", self._sizes.width), name + "aln")
        inner = self._add("Gelu", [self._linear(row, name + "fi", self._sizes.width)], name + "gelu", CONTRIBUTED)
        return self._normed(row, self._linear(inner, name + "fo", self._sizes.inner), name + "oln")

    def _linear(self, row: str, name: str, width: int) -> str:
        """`width` numbers go in, as many come out as there are rows of weights."""
        blocks = self._packed.blocks(f"{name}.w").rows(width)
        weights = self._weight(f"{name}.w", _paired(blocks.whole))
        scales = self._weight(f"{name}.s", blocks.scales)
        inputs = [row, weights, scales, "", "", self._given(f"{name}.b")]
        shape = {"K": width, "N": len(blocks.whole), "bits": 4, "block_size": BLOCK}
        return self._add("MatMulNBits", inputs, name, CONTRIBUTED, accuracy_level=INPUTS_OF_8_BITS, **shape)

    def _normed(self, row: str, added: str | None, name: str) -> str:
        """Layer normalization, of the sum of two rows where there is a second."""
        factors = [self._given(f"{name}.w"), self._given(f"{name}.b")]
        if added is None:
            return self._add("LayerNormalization", [row, *factors], name, axis=-1, epsilon=self._sizes.epsilon)
        inputs = [row, added, *factors]
        return self._add("SkipLayerNormalization", inputs, name, CONTRIBUTED, epsilon=self._sizes.epsilon)

    def _given(self, name: str) -> str:
        return self._weight(name, self._packed.numbers(name))

    def _weight(self, name: str, values: NDArray[Any]) -> str:
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(self, operator: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output


def _paired(whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[…, 32] to […, 16]: neighbors in one byte, as the operator reads them; the file pairs those 16 apart."""
    return np.asarray(whole[..., 0::2] | whole[..., 1::2] << 4, dtype=np.uint8)
