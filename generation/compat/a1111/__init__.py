"""AUTOMATIC1111's web API under `/compat/a1111/sdapi/v1`, for the jobs of whoever calls: an API key's own."""
