"""The receiving end of a measurement in Python: `out=FILE every=N`. Touches every page of every payload."""

import os
import struct
import sys
import time

from dataflow import Node


def parent_cpu_ticks() -> int:
    """CPU time of the runtime, in ticks of 10 ms: fields 14 and 15 of its stat file."""
    with open(f"/proc/{os.getppid()}/stat") as file:
        fields = file.read().rsplit(") ", 1)[1].split(" ")
    return int(fields[11]) + int(fields[12])


def main() -> None:
    arguments = dict(word.split("=", 1) for word in sys.argv[1:])
    every = int(arguments["every"])
    count = first_ns = last_ns = touched = first_ticks = 0
    samples_ns = []
    with Node() as node:
        for event in node:
            if event.type != "input":
                continue
            payload = memoryview(event)
            touched += sum(payload[::4096])
            count += 1
            if count == 1 or count % every == 0:
                (sent_ns,) = struct.unpack_from("=Q", payload)
                last_ns = time.monotonic_ns()
                samples_ns.append(last_ns - sent_ns)
                if count == 1:
                    first_ns = last_ns
                    first_ticks = parent_cpu_ticks()
            del payload, event
    runtime_ticks = parent_cpu_ticks() - first_ticks
    with open(arguments["out"], "w") as file:
        file.write(f"{count} {first_ns} {last_ns} {runtime_ticks}\n")
        file.writelines(f"{sample_ns}\n" for sample_ns in samples_ns)


main()
