"""Does what it is told with `huggingface_hub`: a line of JSON in, a line of JSON out."""

import json
import sys

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download

# What is received comes to the disk in pieces of this size (10 MB, otherwise): what is cut within one is lost.
constants.DOWNLOAD_CHUNK_SIZE = 10_000


def snapshot(**what):
    return snapshot_download(**what)


def file(**what):
    return hf_hub_download(**what)


def tree(repo_id, repo_type, endpoint):
    entries = HfApi(endpoint=endpoint).list_repo_tree(repo_id, repo_type=repo_type, recursive=True)
    return [entry.path for entry in entries]


def information(repo_id, repo_type, endpoint):
    found = HfApi(endpoint=endpoint).repo_info(repo_id, repo_type=repo_type, files_metadata=True)
    return {
        "sha": found.sha,
        "files": [
            [each.rfilename, each.size, each.lfs.sha256 if each.lfs else each.blob_id]
            for each in found.siblings
        ],
    }


for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"result": globals()[asked.pop("call")](**asked)}
    except Exception as error:
        answer = {
            "errors": [each.__name__ for each in type(error).__mro__],
            "says": str(error),
        }
    print(json.dumps(answer), flush=True)
