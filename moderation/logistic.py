"""Logistic regressions over runs of letters: one for each label, fitted together by L-BFGS. Always the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from moderation.fitting import Floats, sigmoid
from moderation.text.letters import BUCKETS, runs

STEPS: Final = 60


@dataclass(frozen=True)
class Weights:
    """`weights` is [buckets, labels]."""

    weights: Floats
    bias: Floats

    def logits(self, inputs: "csr_matrix[Any]") -> Floats:
        """[n, labels]."""
        return np.asarray(inputs @ self.weights + self.bias, dtype=np.float32)


def matrix(texts: Sequence[str]) -> "csr_matrix[Any]":
    """[n, buckets], each row of unit length."""
    found = [runs(text) for text in texts]
    ends = np.cumsum([0, *(len(each) for each in found)])
    values = np.concatenate([np.full(len(each), max(1, len(each)) ** -0.5, np.float32) for each in found])
    return csr_matrix((values, np.concatenate(found), ends), shape=(len(texts), BUCKETS))


def fit(inputs: "csr_matrix[Any]", targets: Floats, weights: Floats, *, decay: float) -> Weights:
    """`weights` as `fitting.balanced` gives them."""
    labels, count = targets.shape[1], inputs.shape[0]
    across = inputs.T.tocsr()

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Mean over the texts, sum over the labels; and its gradient."""
        known = flat.reshape(BUCKETS + 1, labels)
        logits = np.asarray(inputs @ known[:-1].astype(np.float32)) + known[-1].astype(np.float32)
        error = (sigmoid(logits) - targets) * weights
        entropy = weights * (np.logaddexp(0, logits) - targets * logits)
        into = np.vstack([np.asarray(across @ error), error.sum(axis=0)[None]]).astype(np.float64) / count
        into[:-1] += decay * known[:-1]
        return float(entropy.sum()) / count + decay / 2 * float((known[:-1] ** 2).sum()), into.ravel()

    start = np.zeros((BUCKETS + 1) * labels)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    known = found.x.reshape(BUCKETS + 1, labels).astype(np.float32)
    return Weights(known[:-1], known[-1])
