"""Fails before it has connected."""

import sys

print("no camera found", file=sys.stderr)
sys.exit(5)
