"""Sends a question, and the sentences of a file in which it looks for an answer: one a line."""

import argparse
import os
from pathlib import Path

from dataflow import Node


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--question", help="what is asked; the variable QUESTION goes before it")
    arguments = parser.parse_args()
    # An empty variable is one that was not set.
    question = os.environ.get("QUESTION") or arguments.question
    if not question:
        parser.error("nothing is asked: give --question, or set QUESTION")
    lines = arguments.file.read_text(encoding="utf-8").splitlines()
    sentences = [line.strip() for line in lines if line.strip()]
    with Node() as node:
        node.send("question", question.encode())
        for sentence in sentences:
            node.send("sentence", sentence.encode())
    print(f"asked one question of {len(sentences)} sentences")


if __name__ == "__main__":
    main()
