"""Fetches all files of a model into a cache with `huggingface_hub`, and prints the seconds that it took.

Arguments: the repository and the cache's folder. `HF_ENDPOINT` says where the Hub is.
"""

import sys
import time

import huggingface_hub

repository, cache = sys.argv[1:]
began = time.monotonic()
huggingface_hub.snapshot_download(repository, cache_dir=cache)
print(huggingface_hub.__version__, time.monotonic() - began)
