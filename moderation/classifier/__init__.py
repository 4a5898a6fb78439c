"""The trained heads (heads.npz), as `python -m moderation.train` wrote them."""
