"""A rotation finds every sealed value, because a sealed column that nobody registered shows here."""

from django.db import connections

from tenants.sealed_columns import sealed_columns

OTHERS = {"tenants_platformsecret.sealed"}  # under keys of their own, sealed by the platform key


def test_every_sealed_column_is_registered() -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%sealed'"
        )
        found = {name for (name,) in cursor.fetchall()}
    assert {f"{column.table}.{column.column}" for column in sealed_columns()} == found - OTHERS
    assert len(found) > 5
