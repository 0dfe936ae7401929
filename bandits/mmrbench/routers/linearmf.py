"""Truncated SVD of the contexts, then ridge regression, one a model and target (arXiv 2601.17814, LinearMF)."""

from __future__ import annotations

import numpy as np

from bandits import require
from bandits.mmrbench.routers.base import Fit, Floats, Predict
from bandits.mmrbench.routers.linear import regressions


def linearmf(*, rank: int = 128, alpha: float = 1.0, seed: int = 42) -> Fit:
    """Return a router that regresses utility and cost on the leading directions of the contexts.

    Args:
        rank: directions kept, >= 1; at most the smaller side of the training contexts.
        alpha: ridge penalty, >= 0.
        seed: of the randomised decomposition.

    Raises:
        ValueError: rank < 1 or alpha < 0.
    """
    require.whole("linearmf", 1, rank=rank)
    require.whole("linearmf", 0, seed=seed)
    require.at_least("linearmf", 0, alpha=alpha)

    def fit(context: Floats, utility: Floats, cost: Floats) -> Predict:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.linear_model import Ridge

        svd = TruncatedSVD(n_components=min(rank, *context.shape), random_state=seed)
        with np.errstate(
            divide="ignore", invalid="ignore"
        ):  # its explained share, where all contexts are one
            latent = svd.fit_transform(context)
        of_utility = regressions(lambda: Ridge(alpha=alpha), latent, utility)
        of_cost = regressions(lambda: Ridge(alpha=alpha), latent, cost)

        def predict(context: Floats) -> tuple[Floats, Floats]:
            latent = svd.transform(context)
            return of_utility(latent), of_cost(latent)

        return predict

    return fit
