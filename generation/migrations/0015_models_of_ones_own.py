"""A row that names a model names one of everybody's or of its own tenant. Foreign keys cannot say that: a model of
everybody has no tenant to pair."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION refuse_foreign_model() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM generation_model m WHERE m.id = (to_jsonb(NEW) ->> TG_ARGV[0])::uuid
                   AND (m.tenant_id IS NULL OR m.tenant_id = NEW.tenant_id)) THEN
        RAISE EXCEPTION 'the model of % is no model of its tenant', TG_TABLE_NAME USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$
"""
NAMED_IN = {
    "generation_generation": "model_id",
    "generation_cachedresult": "model_id",
    "generation_modelaccess": "model_id",
    "generation_routeoverride": "model_id",
    "generation_model": "fallback_id",
}


def guard(table: str, column: str) -> list[str]:
    named = f"NEW.{column} IS NOT NULL"
    call = f"FOR EACH ROW WHEN ({named}) EXECUTE FUNCTION refuse_foreign_model('{column}')"
    return [
        f"CREATE TRIGGER own_model_added BEFORE INSERT ON {table} {call}",
        f"CREATE TRIGGER own_model_named BEFORE UPDATE OF {column}, tenant_id ON {table} {call}",
    ]


class Migration(migrations.Migration):
    dependencies = [("generation", "0014_sealed_inputs")]

    operations = [
        migrations.RunSQL(
            [REFUSE, *(statement for table, column in NAMED_IN.items() for statement in guard(table, column))],
            reverse_sql=migrations.RunSQL.noop,
        )
    ]
