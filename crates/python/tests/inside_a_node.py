"""What must be true inside a node. `test_node.py` starts this file as the node `me`, whose output leads back to
itself; by itself it is no test."""

import gc
import os
import signal
import sys
import threading
import time
import unittest

import numpy

import dataflow
from dataflow import Node

node: Node


def message():
    """The next message of the edge."""
    for event in node:
        if event.type == "input" and event.source == "me/out":
            return event
    raise AssertionError("the node was stopped")


def echo(data=b"", metadata=None):
    """What becomes of a message on its way to ourselves."""
    node.send("out", data, metadata)
    return message()


def nothing_is_there():
    """Whether no message is on its way: a later one comes first."""
    return echo(b"marker").bytes() == b"marker"


class Identity(unittest.TestCase):
    def test_a_node_knows_itself(self):
        self.assertEqual((node.id, node.dataflow, node.epoch), ("me", "inside", 1))
        self.assertEqual(node.outputs, ["out", "unread"])
        self.assertIn("me", repr(node))

    def test_a_process_connects_once(self):
        with self.assertRaisesRegex(dataflow.ConnectError, "before"):
            Node()


class Payloads(unittest.TestCase):
    def test_bytes_arrive_whatever_their_size(self):
        for length in (0, 1, 96, 97, 5000, 3_000_000):
            data = os.urandom(length)
            event = echo(data)
            self.assertEqual(event.bytes(), data)
            self.assertEqual(len(event), length)
            self.assertTrue(event)
            with memoryview(event) as view:
                self.assertEqual(bytes(view), data)
                self.assertTrue(view.readonly)
                self.assertEqual(view.format, "B")

    def test_anything_with_a_buffer_is_sent(self):
        self.assertEqual(echo(bytearray(b"abc")).bytes(), b"abc")
        self.assertEqual(echo(memoryview(b"abcdef")[::2]).bytes(), b"ace")
        first = echo(b"x" * 1000, {"a": 1})
        again = echo(first, first.metadata)
        self.assertEqual((again.bytes(), again.metadata), (b"x" * 1000, {"a": 1}))

    def test_what_has_no_bytes_is_refused_with_the_remedy(self):
        with self.assertRaisesRegex(TypeError, "encode"):
            node.send("out", "text")
        with self.assertRaisesRegex(TypeError, "dict has no bytes"):
            node.send("out", {"a": 1})
        with self.assertRaisesRegex(TypeError, "objects"):
            node.send("out", numpy.array([{}]))
        with self.assertRaisesRegex(TypeError, "view"):
            node.send("out", numpy.zeros(3, dtype=[("a", "i4")]))
        self.assertTrue(nothing_is_there())

    def test_arrays_arrive_with_dtype_and_shape(self):
        arrays = [
            numpy.arange(24, dtype="<f4").reshape(2, 3, 4),
            numpy.arange(24, dtype=">i8").reshape(6, 4)[:, ::2],
            numpy.asfortranarray(numpy.arange(600.0).reshape(20, 30)),
            numpy.zeros((0, 3), dtype="u2"),
            numpy.array(7.5),
            numpy.array([True, False]),
            numpy.array(["2026-01-01", "2026-01-02"], dtype="datetime64[s]"),
            numpy.array([1 + 2j]),
        ]
        for array in arrays:
            got = echo(array).numpy()
            self.assertEqual((got.dtype, got.shape), (array.dtype, array.shape))
            self.assertTrue((got == array).all())
            self.assertFalse(got.flags.writeable)
            self.assertTrue(got.flags.c_contiguous)

    def test_plain_bytes_are_an_array_of_bytes(self):
        got = echo(b"\x01\x02").numpy()
        self.assertEqual((got.dtype, got.tolist()), (numpy.uint8, [1, 2]))

    def test_arrays_are_aligned(self):
        for length in (3, 5000):
            array = echo(bytes(length)).numpy()
            self.assertEqual(array.ctypes.data % 64, 0)

    def test_an_array_that_its_metadata_lies_about_is_refused(self):
        for lie in ({"_dtype": "|O"}, {"_dtype": "<f8", "_shape": [1000]}, {"_dtype": "nonsense"}):
            with self.assertRaises((TypeError, ValueError)):
                echo(b"12345678", lie).numpy()

    def test_arrow_is_asked_for_or_used(self):
        event = echo(b"x" * 200)
        try:
            import pyarrow
        except ImportError:
            with self.assertRaisesRegex(dataflow.DataflowError, "pip install pyarrow"):
                event.arrow()
        else:
            self.assertEqual(event.arrow(), pyarrow.py_buffer(b"x" * 200))


class MetadataOfMessages(unittest.TestCase):
    def test_every_kind_of_value_comes_back(self):
        metadata = {
            "null": None,
            "bool": True,
            "int": -(2**63),
            "float": 0.5,
            "str": "äöü",
            "bytes": b"\x00\xff",
            "list": [1, [2, "x"], {"deep": None}],
            "map": {"a": {"b": 1}},
            "empty": {},
        }
        self.assertEqual(echo(b"", metadata).metadata, metadata)

    def test_scalars_of_numpy_and_tuples_become_plain(self):
        metadata = {"i": numpy.int64(3), "f": numpy.float32(0.5), "b": numpy.bool_(True), "t": (1, 2)}
        got = echo(b"", metadata).metadata
        self.assertEqual(got, {"i": 3, "f": 0.5, "b": True, "t": [1, 2]})
        self.assertIs(type(got["b"]), bool)

    def test_a_changed_dict_changes_nothing(self):
        event = echo(b"", {"a": 1})
        event.metadata["a"] = 2
        self.assertEqual(event.metadata, {"a": 1})

    def test_what_cannot_travel_is_refused_by_name(self):
        with self.assertRaisesRegex(TypeError, "`frame`"):
            node.send("out", b"", {"frame": object()})
        with self.assertRaisesRegex(TypeError, "keys"):
            node.send("out", b"", {1: 2})
        with self.assertRaisesRegex(ValueError, "64 bits"):
            node.send("out", b"", {"big": 2**63})
        with self.assertRaisesRegex(TypeError, "a dict"):
            node.send("out", b"", [1])
        endless = {}
        endless["self"] = endless
        with self.assertRaisesRegex(dataflow.MetadataError, "deep"):
            node.send("out", b"", endless)
        with self.assertRaisesRegex(ValueError, "65536"):
            node.send("out", b"", {"long": "x" * 70_000})
        self.assertTrue(nothing_is_there())


class Loans(unittest.TestCase):
    def test_a_loan_is_a_writable_array_that_is_sent_at_the_end_of_the_block(self):
        with node.loan("out", (10, 20, 3), metadata={"n": 1}) as frame:
            self.assertEqual((frame.shape, frame.dtype), ((10, 20, 3), numpy.uint8))
            self.assertEqual(frame.ctypes.data % 64, 0)
            frame[:] = 9
        event = message()
        self.assertTrue((event.numpy() == 9).all())
        self.assertEqual(event.numpy().shape, (10, 20, 3))
        self.assertEqual(event.metadata["n"], 1)

    def test_small_loans_and_other_types(self):
        loan = node.loan("out", 3, "<f8")
        with loan as values:
            values[:] = [1, 2, 3]
            loan.metadata["late"] = True
        event = message()
        self.assertEqual(event.numpy().tolist(), [1, 2, 3])
        self.assertTrue(event.metadata["late"])
        self.assertFalse(event.held, "it travelled in the slot")

    def test_an_exception_in_the_block_sends_nothing(self):
        with self.assertRaises(ZeroDivisionError):
            with node.loan("out", 1000) as frame:
                1 / 0
        with self.assertRaises(ValueError):
            frame[0] = 1
        self.assertTrue(nothing_is_there())

    def test_the_array_is_read_only_after_the_block_and_never_shows_another_message(self):
        with node.loan("out", 100_000) as kept:
            kept[:] = 1
        with self.assertRaises(ValueError):
            kept[0] = 2
        message()
        for number in range(2, 12):
            with node.loan("out", 100_000) as frame:
                frame[:] = number
            self.assertTrue((message().numpy() == number).all())
        self.assertTrue((kept == 1).all())

    def test_a_loan_serves_one_block(self):
        loan = node.loan("out", 10)
        with loan:
            pass
        message()
        with self.assertRaisesRegex(RuntimeError, "another"):
            loan.__enter__()

    def test_a_loan_that_is_never_entered_sends_nothing(self):
        node.loan("out", 1000)
        self.assertTrue(nothing_is_there())

    def test_bad_shapes_and_types_are_refused(self):
        for shape in ("x", -1, (2, -1), 1.5, None):
            with self.assertRaises((TypeError, ValueError, OverflowError)):
                node.loan("out", shape)
        with self.assertRaises(ValueError):
            node.loan("out", (2**40, 2**40))
        with self.assertRaises(TypeError):
            node.loan("out", 3, "object")

    def test_without_numpy_a_loan_is_a_memoryview(self):
        hidden = sys.modules["numpy"]
        sys.modules["numpy"] = None
        try:
            with node.loan("out", 1000) as view:
                self.assertIsInstance(view, memoryview)
                view[:] = b"y" * 1000
            with self.assertRaises(ValueError):
                view[0]
            self.assertEqual(message().bytes(), b"y" * 1000)
            with self.assertRaisesRegex(TypeError, "pip install numpy"):
                node.loan("out", 10, "float32")
        finally:
            sys.modules["numpy"] = hidden


class Limits(unittest.TestCase):
    def test_an_unknown_output_is_refused_with_the_known_ones(self):
        with self.assertRaisesRegex(dataflow.OutputError, "out, unread"):
            node.send("nothing", b"")

    def test_a_message_above_the_memory_limit_is_refused(self):
        with self.assertRaisesRegex(dataflow.MemoryLimitError, "output_memory_mb"):
            node.send("out", bytes(100_000_000))
        with self.assertRaisesRegex(dataflow.MemoryLimitError, "output_memory_mb"):
            node.loan("out", 100_000_000)

    def test_an_output_that_nobody_reads_takes_everything(self):
        node.send("unread", bytes(1000))
        with node.loan("unread", 1000):
            pass


class Releases(unittest.TestCase):
    def test_views_keep_a_message_and_its_memory_alone(self):
        event = echo(bytes([5]) * 10_000)
        self.assertTrue(event.held)
        view = event.numpy()[100:200]
        del event
        gc.collect()
        for number in range(20):
            echo(bytes([number]) * 10_000)
        self.assertTrue((view == 5).all())

    def test_beyond_max_held_messages_are_copied(self):
        kept = [echo(bytes([number]) * 1000) for number in range(10)]
        self.assertEqual([event.held for event in kept], [True] * 4 + [False] * 6)
        for number, event in enumerate(kept):
            self.assertEqual(event.bytes(), bytes([number]) * 1000)
        del kept, event
        self.assertTrue(echo(bytes(1000)).held, "everything was released")

    def test_any_thread_may_let_go(self):
        kept = [echo(bytes(1000)) for _ in range(4)]
        thread = threading.Thread(target=kept.clear)
        thread.start()
        thread.join()
        self.assertTrue(echo(bytes(1000)).held)

    def test_a_cycle_of_garbage_lets_go(self):
        for _ in range(4):
            cycle = {"event": echo(bytes(1000))}
            cycle["self"] = cycle
        del cycle
        gc.collect()
        self.assertTrue(echo(bytes(1000)).held)

    def test_a_forked_child_releases_nothing_and_cannot_send(self):
        event = echo(bytes([3]) * 1000)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                node.send("out", b"from the child")
            except dataflow.DataflowError as error:
                code = 0 if "forked" in str(error) else 2
            del event
            os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(event.bytes(), bytes([3]) * 1000)
        self.assertTrue(nothing_is_there())


class Waiting(unittest.TestCase):
    def test_a_timeout_is_an_error_of_its_own(self):
        with self.assertRaises(TimeoutError):
            node.recv(timeout=0)
        before = time.monotonic()
        with self.assertRaises(TimeoutError):
            node.recv(timeout=0.05)
        self.assertGreaterEqual(time.monotonic() - before, 0.05)
        with self.assertRaises(ValueError):
            node.recv(timeout=float("nan"))
        node.send("out", b"x")
        self.assertEqual(node.recv(timeout=60).bytes(), b"x")

    def test_other_threads_run_while_one_waits(self):
        def send():
            node.send("out", b"from another thread")

        thread = threading.Thread(target=send)
        thread.start()
        self.assertEqual(message().bytes(), b"from another thread")
        thread.join()

    def test_a_signal_ends_the_wait_with_what_its_handler_raises(self):
        def handler(number, frame):
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with self.assertRaises(KeyboardInterrupt):
                node.recv()
        finally:
            signal.signal(signal.SIGALRM, before)
        self.assertEqual(echo(b"after").bytes(), b"after")

    def test_a_handler_cannot_make_the_call_that_it_has_interrupted(self):
        def handler(number, frame):
            node.recv()

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with self.assertRaisesRegex(RuntimeError, "set a flag"):
                node.recv()
        finally:
            signal.signal(signal.SIGALRM, before)
        self.assertEqual(echo(b"after").bytes(), b"after")

    def test_a_signal_whose_handler_returns_does_not_end_the_wait(self):
        fired = []

        def handler(number, frame):
            fired.append(number)
            if len(fired) == 2:
                node.send("out", b"from the handler")

        before = signal.signal(signal.SIGALRM, handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
            self.assertEqual(message().bytes(), b"from the handler")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.assertGreaterEqual(len(fired), 2)


if __name__ == "__main__":
    with Node() as node:
        done = unittest.main(exit=False, verbosity=2).result
    try:
        node.recv()
    except dataflow.DataflowError as error:
        assert "closed" in str(error)
    # Messages that are still held must not disturb the interpreter's end.
    sys.exit(not done.wasSuccessful())
