"""Which columns hold values sealed under a tenant's data key, so that a rotation finds them all.

They are `bytea`, named `*_sealed`, and each is bound to a place: a prefix, and then the row's id or another column. An
app registers its own; a test walks the catalogue and asks for each.
"""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SealedColumn:
    table: str
    column: str
    prefix: bytes  # of the context, see easel.crypto
    bound_to: str = "id"
    secret: bool = False  # whether its plaintext is for nobody's export

    def context(self, place: UUID | str) -> bytes:
        return self.prefix + (place.bytes if isinstance(place, UUID) else place.encode())


_columns: list[SealedColumn] = []


def sealed_column(column: SealedColumn) -> None:
    if column not in _columns:
        _columns.append(column)


def sealed_columns() -> tuple[SealedColumn, ...]:
    return tuple(_columns)


def register_own() -> None:
    for column in ("secret_sealed", "previous_secret_sealed"):
        sealed_column(SealedColumn("tenants_apikey", column, b"tenants.apikey.secret:", secret=True))
        sealed_column(SealedColumn("tenants_webhookendpoint", column, b"tenants.webhook.secret:", secret=True))
    sealed_column(SealedColumn("tenants_keptanswer", "answer_sealed", b"tenants.keptanswer:", secret=True))
