"""A tenant with very many generations, made by few statements: what the console's pages have to be fast on."""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connections

from easel.database import changed, platform_role, rows
from generation import figures
from generation.models import Model
from generation.prompts import seal_prompts
from tenants.keys import tenant_data_key
from tests.cast import Customer

MANY: Final = 100_000
TAGGED: Final = 100
DAYS: Final = 30
OPEN: Final = 200  # prompts that can be opened
SEALED: Final = 200  # bytes: as long as the sealed prompt of a sentence

# Spread evenly over the last days, the newest first; one in a hundred failed, one in a thousand waits for staff.
_GENERATIONS: Final = """
INSERT INTO generation_generation (id, tenant_id, status, key_id, request_id, prompt_sealed, negative_prompt_sealed,
    model_id, pool_id, steps, width, height, cfg_scale, sampler, seed, n, format, metadata, priority, work, quote,
    credits, attempts, created_at, started_at, finished_at, steps_run, model_version, timings, warnings, error_code,
    error_detail)
SELECT uuidv7(-(number * step)), %(tenant)s,
    CASE WHEN number %% 100 = 7 THEN 'failed' WHEN number %% 1000 = 5 THEN 'in_review' ELSE 'completed' END,
    %(key)s, '', decode(repeat('ab', %(sealed)s), 'hex'), decode(repeat('cd', 40), 'hex'), %(model)s, %(pool)s, 20, 512,
    512, 7, 'DPM++ 2M', number, 1, 'png', '{}', 0, 5, 5, 5, 1, now() - number * step, now() - number * step,
    now() - number * step + interval '3 seconds', 20, 'x', '{"total_seconds": 3, "drawing_seconds": 2}', '{}', '', ''
FROM generate_series(1, %(many)s) number, (SELECT make_interval(days => %(days)s) / %(many)s AS step) spread
"""
_IMAGES: Final = """
INSERT INTO generation_image (id, tenant_id, generation_id, index, seed, width, height, content_type, bytes, sha256,
    object_key, steps_run, quality_score, created_at, released_at)
SELECT gen_random_uuid(), tenant_id, id, 0, seed, 512, 512, 'image/png', 1000, repeat('0', 64),
    't/' || tenant_id || '/g/' || id || '/crowd-0.png', 20, 0.8, created_at,
    CASE WHEN status = 'completed' THEN finished_at END
FROM generation_generation WHERE tenant_id = %s AND status <> 'failed'
"""
_TAGS: Final = """
INSERT INTO generation_tag (id, tenant_id, generation_id, name)
SELECT gen_random_uuid(), tenant_id, id, 'tag ' || seed %% 10
FROM generation_generation WHERE tenant_id = %s AND seed %% %s = 0
"""


def crowd(customer: Customer, model: Model, *, many: int = MANY) -> None:
    with platform_role():
        changed(_GENERATIONS, {"tenant": customer.id, "key": customer.key.id, "model": model.id, "pool": model.pool_id,
                               "many": many, "days": DAYS, "sealed": SEALED})  # fmt: skip
        _analyze("generation_generation")  # else each image's reference is looked for by plans for an empty table
        changed(_IMAGES, [customer.id])
        _analyze("generation_image")
        changed(_TAGS, [customer.id, many // (TAGGED * 10) or 1])
        _analyze("generation_tag")
        _write_prompts(customer)


def _analyze(table: str) -> None:
    """What Postgres does by itself some minutes after such a load."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"ANALYZE {table}")


def _write_prompts(customer: Customer) -> None:
    """Words that can be opened, for the newest ones: pages that open prompts meet these first."""
    newest = rows(
        "SELECT id FROM generation_generation WHERE tenant_id = %s ORDER BY id DESC LIMIT %s", [customer.id, OPEN]
    )
    key = tenant_data_key(customer.tenant)
    for number, (generation_id,) in enumerate(newest):
        sealed = seal_prompts(f"a red apple, number {number}", "", key=key, generation_id=generation_id)
        changed("UPDATE generation_generation SET prompt_sealed = %s, negative_prompt_sealed = %s WHERE id = %s",
                [*sealed, generation_id])  # fmt: skip


def sum_up() -> None:
    """What the clock would have done on each of the days."""
    today = datetime.now(UTC).date()
    with platform_role():
        for number in range(DAYS + 1):
            figures.sum_up(today - timedelta(days=number))
