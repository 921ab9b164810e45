"""What a process of a fleet needs, imported once before copies of it are made."""

from __future__ import annotations

import os
from importlib import import_module

# Before NumPy and PyTorch start threads, which a copy of this process would not have.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
# What the first step of an optimiser would import, which takes longer than all of the rest.
import_module("torch._dynamo")
for _name in ("clean_set", "load", "repair", "scan.run", "render.html", "cli"):
    import_module(f"undoor.{_name}")
