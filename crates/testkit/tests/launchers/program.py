"""A program of the suite: follows one script, in the words of `conformance::Script`."""

import os
import signal
import socket
import sys
from pathlib import Path

script, words = sys.argv[1], sys.argv[2:]
control = socket.socket(fileno=int(os.environ["DATAFLOW_CONTROL_FD"]))
control.setblocking(True)


def say(name, descriptors=()):
    frame = Path(name).read_bytes()
    sent = socket.send_fds(control, [frame], list(descriptors))
    control.sendall(frame[sent:])


def say_hello():
    """Says hello with the number of this process: it is the last word of the frame, of variable length."""
    number = os.getpid()
    if number < 251:
        word = bytes([number])
    elif number < 1 << 16:
        word = bytes([251]) + number.to_bytes(2, "little")
    else:
        word = bytes([252]) + number.to_bytes(4, "little")
    frame = Path("hello").read_bytes()[:-1] + word
    length = len(frame) - 8
    control.sendall(length.to_bytes(4, "little") + frame[4:])


def leave_another(leaves_group):
    if os.fork() == 0:
        if leaves_group:
            os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say_hello()
        go_on()


def hear(name):
    """Waits for exactly this frame, or these; gives the descriptors that came."""
    expected, heard, descriptors = Path(name).read_bytes(), b"", []
    while len(heard) < len(expected):
        some, came, _, _ = socket.recv_fds(control, len(expected) - len(heard), 4)
        if not some:
            sys.exit(f"{name} ends after {len(heard)} bytes")
        heard += some
        descriptors += came
    if heard != expected:
        sys.exit(f"not {name}")
    return descriptors


def hear_and_say_so():
    (memory,) = hear("told")
    text = os.pread(memory, 1000, 0).decode()
    print(f"heard {text}", flush=True)


def go_on():
    while True:
        signal.pause()


match script:
    case "returns":
        sys.exit(int(words[0]))
    case "dies_of":
        os.kill(os.getpid(), int(words[0]))
    case "waits":
        go_on()
    case "ignores_terminate":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        hear_and_say_so()
        go_on()
    case "prints":
        sys.stdout.write(words[0])
        sys.stderr.write(words[1])
    case "prints_much":
        sys.stdout.write("x" * int(words[0]))
    case "speaks":
        memory = os.memfd_create("conformance")
        os.write(memory, Path("text").read_bytes())
        say("hello")
        say("segment_created", [memory])
        say("ready")
    case "talks_nonsense":
        say("hello")
        control.sendall(b"\0\0\0\0\0\1\0\0")
        go_on()
    case "hangs_up":
        say("hello")
        control.close()
        go_on()
    case "speaks_through_another":
        leave_another(leaves_group=True)
    case "leaves_a_child":
        leave_another(leaves_group=False)
    case "waits_for_the_end":
        say("hello")
        assert control.recv(1) == b""
        say("ready")
    case "hears":
        hear_and_say_so()
    case "counts_frames":
        hear("told_many")
        print("heard ", flush=True)
    case _:
        sys.exit(f"no such script: {script}")
