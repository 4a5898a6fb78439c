"""Drawing. The only package (beside starter/) that imports torch or diffusers."""

import os

# torch's threads wait for each other several hundred times a step. GNU OpenMP lets them spin for long, which is ruinous
# where the cores have other work; OMP_WAIT_POLICY=PASSIVE lets them sleep at once, which is slow where they have none.
# Twenty steps of the starter model on two cores, idle and with two busy loops beside it: spinning 0.44 s and 13 s,
# sleeping 0.83 s and 1 s, spinning shortly 0.44 s and 1.9 s. It is read once, when torch is imported, so it is here.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
