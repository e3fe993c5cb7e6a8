"""Reads a page of metrics as Prometheus' own library for Python does, and writes what it has understood as JSON.

usage: parse.py openmetrics|text < page
"""

import json
import sys

if sys.argv[1] == "openmetrics":
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
else:
    from prometheus_client.parser import text_string_to_metric_families

families = []
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation, family.name
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    families.append({"name": family.name, "type": family.type, "unit": family.unit, "samples": samples})
json.dump(families, sys.stdout)
