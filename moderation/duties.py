"""The clock's part: apply what was decided, and tell how long people are waiting."""

from prometheus_client import Gauge

from easel.clock import duty
from easel.database import rows
from moderation import applying, cases, complaints

OPEN_CASES = Gauge("easel_moderation_open_cases", "Cases that wait for a decision.")
OLDEST_CASE = Gauge("easel_moderation_oldest_case_seconds", "Age of the oldest open case.")


@duty("moderation.decisions", every=1.0)
def apply_decisions() -> int:
    return applying.apply_due()


@duty("moderation.gauges", every=15.0)
def measure() -> int:
    ((count, oldest),) = rows(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM moderation_case "
        "WHERE status = 'open' AND kind <> 'second'"
    )
    OPEN_CASES.set(count)
    OLDEST_CASE.set(float(oldest))
    cases.note_wait()
    return 0


@duty("moderation.complaints", every=2.0)
def tend_complaints() -> int:
    return complaints.weigh_open_cases() + complaints.resolve_decided()


@duty("moderation.complaint_hashes", every=5.0)
def hash_pictures_complained_about() -> int:
    return complaints.hash_pictures()
