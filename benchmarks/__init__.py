"""Importing it makes `realservices` known: what scripts/services starts a Kafka with, the benchmarks do too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
