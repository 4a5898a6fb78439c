"""How much of the disk with the data folder is free: the clock looks, Prometheus asks."""

import shutil

from django.conf import settings

from easel import metrics
from easel.clock import duty


@duty("measure_disk", every=15.0)
def measure_disk() -> int:
    usage = shutil.disk_usage(settings.VAR_DIR)
    metrics.DISK_FREE_RATIO.set(usage.free / usage.total)
    return 0
