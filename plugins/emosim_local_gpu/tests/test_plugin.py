"""The plugin: it describes one backend, and imports nothing heavy to do so."""

from __future__ import annotations

import subprocess
import sys

from emosim_local_gpu.backend import LocalBackend
from emosim_local_gpu.options import LocalOptions

from emosim_core.plugins import Registry

LIGHT = """
import sys
import emosim_local_gpu.plugin
from emosim_core.plugins import Registry
registry = Registry()
registry.load("local_gpu")
backend = registry.resolve("llm_backend", "local:/no/such:model,odd").build()
print(backend.identity, list(backend.models()) is not None)
print(sorted({"torch", "transformers", "tokenizers", "numpy.f2py", "huggingface_hub"} & set(sys.modules)))
"""


def test_describing_and_making_a_backend_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_model_is_named_after_the_colon() -> None:
    registry = Registry()
    registry.load("local_gpu")
    made = registry.resolve("llm_backend", "local:/path/to/model").build()
    assert isinstance(made, LocalBackend)
    assert made.options == LocalOptions(model="/path/to/model")
    made = registry.resolve("llm_backend", "local:model=org/name,device=cpu,batch_size=8,dtype=bfloat16").build()
    assert made.options == LocalOptions(model="org/name", device="cpu", batch_size=8, dtype="bfloat16")
