"""How long images and prompts are kept: as the tenant wishes, and never longer than its plan says."""

from typing import Final

from billing.models import LONGEST_RETENTION
from easel.clock import duty, work_off
from easel.database import rows
from generation import erasure

BATCH: Final = 500

# Counted from the end of the work, so that nothing expires while it is drawn or waits for staff. A plan's version of
# before its days had a bound must not keep the others' from being counted: no date is so long ago.
_EXPIRED: Final = """
SELECT g.tenant_id, g.id FROM billing_subscription s
JOIN billing_planversion v ON v.id = s.version_id
LEFT JOIN tenants_datapolicy p ON p.tenant_id = s.tenant_id
JOIN generation_generation g ON g.tenant_id = s.tenant_id
WHERE s.ended_at IS NULL AND g.erased_at IS NULL
    AND g.status IN ('completed', 'failed', 'canceled', 'rejected')
    AND g.finished_at < now() - make_interval(days => least(p.retention_days, v.retention_days, %(longest)s)::int)
ORDER BY g.id LIMIT %(batch)s
"""


@duty("erase_what_expired", every=600.0)
def erase_what_expired() -> int:
    """Erases the words and images of what is older than its tenant's retention; the row stays for the books."""
    bounds = {"longest": LONGEST_RETENTION, "batch": BATCH}
    return work_off(lambda: rows(_EXPIRED, bounds), lambda expired: erasure.erase(*expired))
