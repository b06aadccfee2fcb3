"""The servers are those of the SDK tests: a gateway for each dialect, before providers that speak nothing else."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sdk"))

from servers import loopback_only, simulator, translating_gateways  # noqa: E402, F401 (fixtures)
