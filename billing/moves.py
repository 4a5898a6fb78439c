"""The statements that move credits, for `billing.ledger` alone.

Each is sent in one round trip behind LOCK: the tenant's wallet row is locked first, so that a tenant's credits move one
at a time, and the statement after it sees what the one before has committed. Each changes wallet, lots, pins and holds,
writes the entries that explain it and adds them to the usage of the day, or changes nothing at all.
`%(at)s` is the moment that counts; NULL is now.
"""

# ruff: noqa: S608  the texts are put together from constants; every value is a parameter

from typing import Final

LOCK: Final = "SELECT 1 FROM billing_wallet WHERE tenant_id = %(tenant)s FOR UPDATE"

_AT: Final = "coalesce(%(at)s::timestamptz, now())"
_LIVE: Final = f"tenant_id = %(tenant)s AND available > 0 AND (expires_at IS NULL OR expires_at > {_AT})"

# Live lots, oldest first, as far as they are needed: what each of them gives to `amount`.
_DRAWN: Final = f"""
drawn AS (
    SELECT id, expires_at, least(available, %(amount)s - before) AS amount,
        row_number() OVER (ORDER BY granted_at, id) AS position
    FROM (
        SELECT id, expires_at, granted_at, available,
            sum(available) OVER (ORDER BY granted_at, id) - available AS before
        FROM billing_lot WHERE {_LIVE} AND (%(source)s = '' OR source = %(source)s)
    ) AS live
    WHERE before < %(amount)s
)
"""

OPEN_WALLET: Final = """
INSERT INTO billing_wallet (id, tenant_id, available, held) VALUES (%(id)s, %(tenant)s, 0, 0)
ON CONFLICT (tenant_id) DO NOTHING
"""

GRANT: Final = f"""
WITH entry AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id, reason, created_at)
    VALUES (%(id)s, %(tenant)s, %(kind)s, %(amount)s, 0, %(operation)s, %(reason)s, {_AT})
    ON CONFLICT (tenant_id, operation_id) DO NOTHING RETURNING tenant_id, created_at
), lot AS (
    INSERT INTO billing_lot
        (id, tenant_id, source, amount, available, pinned, charged, removed, granted_at, expires_at)
    SELECT %(id)s, tenant_id, %(source)s, %(amount)s, %(amount)s, 0, 0, 0, created_at, %(expires)s::timestamptz
    FROM entry
)
UPDATE billing_wallet AS wallet SET available = wallet.available + %(amount)s
FROM entry WHERE wallet.tenant_id = entry.tenant_id RETURNING 1
"""

HOLD: Final = f"""
WITH {_DRAWN}, wallet AS (
    UPDATE billing_wallet SET available = available - %(amount)s, held = held + %(amount)s
    WHERE tenant_id = %(tenant)s AND (SELECT sum(amount) FROM drawn) = %(amount)s
    RETURNING tenant_id
), hold AS (
    INSERT INTO billing_hold (id, tenant_id, owner_id, key_id, model, amount, remaining, charged, refunded, status,
        lives_until, created_at)
    SELECT %(id)s, tenant_id, %(owner)s, %(key)s, %(model)s, %(amount)s, %(amount)s, 0, 0, '',
        (SELECT CASE WHEN bool_and(expires_at IS NOT NULL) THEN max(expires_at) END FROM drawn), {_AT}
    FROM wallet RETURNING id, tenant_id, created_at
), lots AS (
    UPDATE billing_lot AS lot SET available = lot.available - drawn.amount, pinned = lot.pinned + drawn.amount
    FROM drawn, hold WHERE lot.id = drawn.id
), pins AS (
    INSERT INTO billing_pin (id, tenant_id, hold_id, lot_id, position, amount)
    SELECT gen_random_uuid(), hold.tenant_id, hold.id, drawn.id, drawn.position, drawn.amount FROM hold, drawn
)
INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id, key_id, model,
    created_at)
SELECT %(id)s, tenant_id, 'hold', -%(amount)s, %(amount)s, %(owner)s, 'hold:' || %(owner)s, %(key)s, %(model)s,
    created_at FROM hold RETURNING 1
"""

# HOLD and a final SETTLE of all of it at once: the same entries and the same hold, already ended; nothing is pinned.
PAY: Final = f"""
WITH {_DRAWN}, wallet AS (
    UPDATE billing_wallet SET available = available - %(amount)s
    WHERE tenant_id = %(tenant)s AND (SELECT sum(amount) FROM drawn) = %(amount)s
    RETURNING tenant_id
), hold AS (
    INSERT INTO billing_hold (id, tenant_id, owner_id, key_id, model, amount, remaining, charged, refunded, status,
        lives_until, created_at, ended_at)
    SELECT %(id)s, tenant_id, %(owner)s, %(key)s, %(model)s, %(amount)s, 0, %(amount)s, 0, %(status)s,
        (SELECT CASE WHEN bool_and(expires_at IS NOT NULL) THEN max(expires_at) END FROM drawn), {_AT}, {_AT}
    FROM wallet RETURNING tenant_id, created_at
), lots AS (
    UPDATE billing_lot AS lot SET available = lot.available - drawn.amount, charged = lot.charged + drawn.amount
    FROM drawn, hold WHERE lot.id = drawn.id
), entries AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id, key_id, model,
        status, generations, images, created_at)
    SELECT each.id, tenant_id, each.kind, each.available, each.held, %(owner)s, each.kind || ':' || %(owner)s, %(key)s,
        %(model)s, each.status, each.generations, each.images, created_at
    FROM hold, (VALUES
        (%(id)s::uuid, 'hold', -%(amount)s::bigint, %(amount)s::bigint, '', 0, 0),
        (%(charge_id)s, 'charge', 0, -%(amount)s, %(status)s, 1, %(images)s)
    ) AS each (id, kind, available, held, status, generations, images)
), usage AS (
    INSERT INTO billing_usage AS usage
        (id, tenant_id, day, key_id, model, status, generations, images, charged, refunded)
    SELECT %(usage_id)s, tenant_id, (created_at AT TIME ZONE 'UTC')::date, %(key)s, %(model)s, %(status)s, 1,
        %(images)s, %(amount)s, 0 FROM hold
    ON CONFLICT (tenant_id, day, key_id, model, status) DO UPDATE SET
        generations = usage.generations + 1, images = usage.images + EXCLUDED.images,
        charged = usage.charged + EXCLUDED.charged
)
SELECT 1 FROM hold
"""

# With `final` the hold ends and what is not charged is released. Without, it stays open and nothing is released.
SETTLE: Final = f"""
WITH asked AS (
    SELECT id, remaining AS had, least(remaining, %(charge)s) AS charge,
        CASE WHEN %(final)s THEN remaining - least(remaining, %(charge)s) ELSE 0 END AS release
    FROM billing_hold
    WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND ended_at IS NULL AND (%(final)s OR (
        remaining >= %(charge)s AND NOT EXISTS (
            SELECT 1 FROM billing_entry WHERE tenant_id = %(tenant)s AND operation_id = %(operation)s)))
), hold AS (
    UPDATE billing_hold AS hold SET remaining = had - charge - release, charged = hold.charged + charge,
        status = CASE WHEN %(final)s THEN %(status)s ELSE '' END, ended_at = CASE WHEN %(final)s THEN {_AT} END
    FROM asked WHERE hold.id = asked.id AND hold.ended_at IS NULL
    RETURNING hold.id, tenant_id, key_id, model, charge, release, {_AT} AS at
), pins AS (
    SELECT pin.id, pin.lot_id, pin.amount, least(pin.amount, greatest(0, hold.charge - pin.before)) AS charge
    FROM hold JOIN (
        SELECT id, hold_id, lot_id, amount, sum(amount) OVER (ORDER BY position) - amount AS before
        FROM billing_pin WHERE tenant_id = %(tenant)s AND hold_id = (SELECT id FROM asked)
    ) AS pin ON pin.hold_id = hold.id
), unpinned AS (
    SELECT id, lot_id, amount, charge, CASE WHEN %(final)s THEN amount ELSE charge END AS freed FROM pins
), lots AS (
    UPDATE billing_lot AS lot SET pinned = lot.pinned - freed, charged = lot.charged + charge,
        available = lot.available + freed - charge
    FROM unpinned WHERE lot.id = lot_id
), emptied AS (
    DELETE FROM billing_pin USING unpinned WHERE billing_pin.id = unpinned.id AND freed = unpinned.amount
), lessened AS (
    UPDATE billing_pin SET amount = billing_pin.amount - freed
    FROM unpinned WHERE billing_pin.id = unpinned.id AND freed BETWEEN 1 AND unpinned.amount - 1
), wallet AS (
    UPDATE billing_wallet AS wallet SET held = wallet.held - charge - release, available = wallet.available + release
    FROM hold WHERE wallet.tenant_id = hold.tenant_id
), charged AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id, key_id, model,
        status, generations, images, created_at)
    SELECT %(charge_id)s, tenant_id, 'charge', 0, -charge, %(owner)s, %(operation)s, key_id, model,
        %(status)s, %(final)s::int, %(images)s, at FROM hold WHERE charge > 0
), released AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id, key_id, model,
        status, generations, images, created_at)
    SELECT %(release_id)s, tenant_id, 'release', release, -release, %(owner)s, 'release:' || %(owner)s, key_id, model,
        %(status)s, (charge = 0)::int, CASE WHEN charge = 0 THEN %(images)s ELSE 0 END, at
    FROM hold WHERE %(final)s AND (release > 0 OR charge = 0)
), usage AS (
    INSERT INTO billing_usage AS usage
        (id, tenant_id, day, key_id, model, status, generations, images, charged, refunded)
    SELECT %(usage_id)s, tenant_id, (at AT TIME ZONE 'UTC')::date, key_id, model, %(status)s, %(final)s::int,
        %(images)s, charge, 0 FROM hold
    ON CONFLICT (tenant_id, day, key_id, model, status) DO UPDATE SET
        generations = usage.generations + EXCLUDED.generations, images = usage.images + EXCLUDED.images,
        charged = usage.charged + EXCLUDED.charged
)
SELECT charge FROM hold
"""

REFUNDABLE: Final = """
SELECT charged - refunded FROM billing_hold WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s
"""

# A refund is a lot of its own, so that it is live whatever became of the lots that paid.
REFUND: Final = f"""
WITH hold AS (
    SELECT id, tenant_id, key_id, model, status, CASE WHEN lives_until IS NOT NULL
        THEN greatest(lives_until, {_AT} + make_interval(days => %(days)s)) END AS expires
    FROM billing_hold
    WHERE tenant_id = %(tenant)s AND owner_id = %(owner)s AND charged - refunded >= %(amount)s
), entry AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, owner_id, operation_id, reason, key_id,
        model, status, created_at)
    SELECT %(id)s, tenant_id, 'refund', %(amount)s, 0, %(owner)s, %(operation)s, %(reason)s, key_id, model, status,
        {_AT}
    FROM hold ON CONFLICT (tenant_id, operation_id) DO NOTHING
    RETURNING tenant_id, key_id, model, status, created_at
), marked AS (
    UPDATE billing_hold SET refunded = refunded + %(amount)s
    FROM hold, entry WHERE billing_hold.id = hold.id
), lot AS (
    INSERT INTO billing_lot
        (id, tenant_id, source, amount, available, pinned, charged, removed, granted_at, expires_at)
    SELECT %(id)s, entry.tenant_id, 'refund', %(amount)s, %(amount)s, 0, 0, 0, entry.created_at, hold.expires
    FROM entry, hold
), usage AS (
    INSERT INTO billing_usage AS usage
        (id, tenant_id, day, key_id, model, status, generations, images, charged, refunded)
    SELECT %(id)s, tenant_id, (created_at AT TIME ZONE 'UTC')::date, key_id, model, status, 0, 0, 0, %(amount)s
    FROM entry
    ON CONFLICT (tenant_id, day, key_id, model, status) DO UPDATE SET refunded = usage.refunded + EXCLUDED.refunded
)
UPDATE billing_wallet AS wallet SET available = wallet.available + %(amount)s
FROM entry WHERE wallet.tenant_id = entry.tenant_id RETURNING 1
"""

# Takes back what is free, oldest lot first; with `partial` as much as there is, or else all or nothing.
TAKE: Final = f"""
WITH {_DRAWN}, entry AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id, reason, created_at)
    SELECT %(id)s, %(tenant)s, 'adjustment', -amount, 0, %(operation)s, %(reason)s, {_AT}
    FROM (SELECT sum(amount)::bigint AS amount FROM drawn) AS taken
    WHERE amount = %(amount)s OR (%(partial)s AND amount > 0)
    ON CONFLICT (tenant_id, operation_id) DO NOTHING RETURNING tenant_id, -available_delta AS amount
), lots AS (
    UPDATE billing_lot AS lot SET available = lot.available - drawn.amount, removed = lot.removed + drawn.amount
    FROM drawn, entry WHERE lot.id = drawn.id
)
UPDATE billing_wallet AS wallet SET available = wallet.available - amount
FROM entry WHERE wallet.tenant_id = entry.tenant_id RETURNING amount
"""

# A lot can expire more than once: credits that were held when it did come back to it, and expire in their turn.
EXPIRE: Final = f"""
WITH due AS (
    SELECT id, tenant_id, available AS amount, removed FROM billing_lot
    WHERE tenant_id = %(tenant)s AND id = %(lot)s AND available > 0 AND expires_at <= {_AT}
), lot AS (
    UPDATE billing_lot AS lot SET removed = lot.removed + due.amount, available = 0
    FROM due WHERE lot.id = due.id
), entry AS (
    INSERT INTO billing_entry (id, tenant_id, kind, available_delta, held_delta, operation_id, created_at)
    SELECT %(id)s, tenant_id, 'expiry', -amount, 0, 'expiry:' || id || ':' || removed, {_AT} FROM due
)
UPDATE billing_wallet AS wallet SET available = wallet.available - due.amount
FROM due WHERE wallet.tenant_id = due.tenant_id RETURNING due.amount
"""
