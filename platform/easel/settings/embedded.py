"""One machine, services started by Easel's own supervisor, plain HTTP on the loopback."""

from easel.settings import environment
from easel.settings.base import *  # noqa: F403

# The staff's port is on the loopback, and their password rests in var/demo.json: a second factor that would have to
# rest beside it proves nothing more. Ask for one all the same with EASEL_STAFF_SECOND_FACTOR=1.
STAFF_SECOND_FACTOR = environment.flag("EASEL_STAFF_SECOND_FACTOR", default=False)
