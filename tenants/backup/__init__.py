"""Backups of Postgres and the object store, and the way back."""
