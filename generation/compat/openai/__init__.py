"""OpenAI's API under `/compat/openai/v1`: images, edits, models, moderations."""
