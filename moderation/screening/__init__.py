"""The screening process: sentence embeddings and classifiers, in one small process of their own, CPU first.

`python -m moderation.screening` runs it; `moderation.screening.client` asks it. One embedding of a prompt serves
moderation and routing. The process needs neither Django nor a database, and keeps nothing.
"""
