"""Row-level security as migration operations: a tenant's table gets its policies where it is created.

`TenantTable` enables and forces row security, writes one policy per role, grants what each role may do, and binds
references to parents of the same tenant (foreign key checks ignore row security, so the tenant must be in the key).
`GlobalTable` only grants. Every table uses exactly one of them; a test walks the catalogue.
"""

from collections.abc import Mapping

from django.db.migrations.operations import RunSQL

OWN = "nullif(current_setting('app.tenant', true), '')::uuid"
PERSON = "nullif(current_setting('app.person', true), '')::uuid"
ALL = "SELECT, INSERT, UPDATE, DELETE"

REFUSE_GAIN = """
CREATE OR REPLACE FUNCTION refuse_gain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the web cannot change % so', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$
"""


class TenantTable(RunSQL):
    """`visible` is an SQL condition for rows the customer web may read beside the tenant's own; `references` maps a
    column to the parent table that must have the same tenant."""

    def __init__(
        self,
        table: str,
        *,
        column: str = "tenant_id",
        visible: str = "",
        grants: str = ALL,
        platform_grants: str = ALL,
        references: Mapping[str, str] | None = None,
    ) -> None:
        statements = [
            *_guard(table, f"{column} = {OWN}"),
            f"GRANT {grants} ON {table} TO easel_app",
            f"GRANT {platform_grants} ON {table} TO easel_platform",
        ]
        if visible:
            statements.append(f"CREATE POLICY also_visible ON {table} FOR SELECT TO easel_app USING ({visible})")
        if column == "tenant_id":
            statements.append(f"CREATE UNIQUE INDEX {table}_of_tenant ON {table} (tenant_id, id)")
        for child, parent in (references or {}).items():
            statements.append(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_{child}_same_tenant FOREIGN KEY (tenant_id, {child}) "
                f"REFERENCES {parent} (tenant_id, id) DEFERRABLE INITIALLY DEFERRED"
            )
        super().__init__([*statements], reverse_sql=RunSQL.noop)


class GlobalTable(RunSQL):
    """A table without a tenant: the customer web may only do what is granted here, and with `visible`, an SQL
    condition, only to rows that meet it."""

    def __init__(self, table: str, *, grants: str = "", platform_grants: str = ALL, visible: str = "") -> None:
        statements = [f"GRANT {platform_grants} ON {table} TO easel_platform"]
        if grants:
            statements.append(f"GRANT {grants} ON {table} TO easel_app")
        if visible:
            statements += _guard(table, visible)
        super().__init__([*statements], reverse_sql=RunSQL.noop)


def _guard(table: str, condition: str) -> list[str]:
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY web ON {table} TO easel_app USING ({condition}) WITH CHECK ({condition})",
        f"CREATE POLICY platform ON {table} TO easel_platform USING (true) WITH CHECK (true)",
    ]


class AppendOnly(RunSQL):
    """No row of the table is ever changed or removed, whoever tries, the owner too: grants alone could be widened."""

    def __init__(self, table: str) -> None:
        statements = [
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        ]
        super().__init__([*statements], reverse_sql=RunSQL.noop)


class RefusedChange(RunSQL):
    """The customer web may not change a row of the table so that `condition`, SQL over OLD and NEW, becomes true. Where
    it does not, this costs no call."""

    def __init__(self, table: str, condition: str) -> None:
        statement = (
            f"CREATE TRIGGER refused_change BEFORE UPDATE ON {table} FOR EACH ROW "
            f"WHEN (current_user = 'easel_app' AND ({condition})) EXECUTE FUNCTION refuse_gain()"
        )
        super().__init__([REFUSE_GAIN, statement], reverse_sql=RunSQL.noop)


class PlatformSQL(RunSQL):
    """Statements that read or write tenants' rows. The migrating owner is blind to them: they run as easel_platform."""

    def __init__(self, statements: list[str]) -> None:
        super().__init__(["SET LOCAL ROLE easel_platform", *statements, "RESET ROLE"], reverse_sql=RunSQL.noop)
