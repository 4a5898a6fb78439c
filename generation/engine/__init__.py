"""Drawing. The only package (beside starter/) that imports torch or diffusers."""

import os

# torch's threads wait for each other several hundred times a step. By default they spin, which is a little faster on an
# idle processor and ruinous on a busy one: twenty steps of the starter model on two busy cores took 13 to 21 s
# spinning and 0.8 to 1.0 s sleeping. OpenMP reads this once, when torch is imported, so it stands here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
