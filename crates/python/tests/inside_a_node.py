"""What must be true inside a node. `test_node.py` starts this file as the node `me`, whose output leads back to
itself; by itself it is no test."""

import gc
import importlib.util
import os
import signal
import sys
import threading
import time
import unittest
from pathlib import Path

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


def until_it_waits(thread):
    """Until `thread` waits in the library, without the GIL and in the kernel's poll or ppoll."""
    while True:
        called = Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()[0]
        if called in ("7", "73", "271"):
            return
        time.sleep(0)


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

    def test_what_its_metadata_says_of_an_array_does_not_travel_with_other_data(self):
        event = echo(numpy.zeros((2, 3), "<f4"), {"frame": 7})
        for data in (b"12345", None, bytearray(2), memoryview(numpy.zeros(3))):
            got = echo(data, event.metadata)
            self.assertEqual(got.metadata, {"frame": 7})
            self.assertEqual(got.numpy().tolist(), list(bytes(data or b"")))
        other = echo(numpy.arange(3, dtype="<u2"), event.metadata)
        self.assertEqual((other.numpy().tolist(), other.numpy().dtype), ([0, 1, 2], "<u2"))

    def test_an_event_that_is_sent_on_stays_the_array_that_it_was(self):
        array = numpy.arange(6, dtype=">i4").reshape(2, 3)
        other = echo(numpy.zeros(9)).metadata
        first = echo(array)
        for metadata in (None, {"a": 1}, first.metadata, other):
            got = echo(first, metadata).numpy()
            self.assertEqual((got.dtype, got.tolist()), (array.dtype, array.tolist()))
        plain = echo(echo(b"123"), other)
        self.assertEqual((plain.bytes(), plain.metadata), (b"123", {}))

    def test_an_array_that_its_metadata_lies_about_is_refused(self):
        class Dtype:
            kind = "f"

            def __init__(self, text):
                self.str = text

        class Liar(numpy.ndarray):
            """Says something else than what it has, as a faulty sender does."""

            shape = property(lambda self: self.says[0])
            dtype = property(lambda self: Dtype(self.says[1]))

        def sent_as(shape, dtype):
            liar = numpy.frombuffer(b"12345678", "uint8").view(Liar)
            liar.says = (shape, dtype)
            return echo(liar)

        self.assertEqual(sent_as((2, 2), "<i2").numpy().shape, (2, 2))
        self.assertEqual(sent_as((), "<i8").numpy().shape, ())
        for shape, dtype, why in (
            ((1000,), "<f8", r"8 bytes.*shape \(1000,\) and dtype float64"),
            ((7,), "|u1", "8 bytes.*event.bytes"),
            ((2**62, 2**62), "<f8", "8 bytes"),
            ((0, 5), "<f8", "8 bytes"),
            ((-8,), "|u1", "no list of lengths"),
            ((8,), "|O", "Python objects"),
            ((8,), "nonsense", "nonsense"),
        ):
            event = sent_as(shape, dtype)
            with self.assertRaisesRegex((TypeError, ValueError), why):
                event.numpy()
            self.assertEqual(event.bytes(), b"12345678")

    def test_without_pyarrow_the_error_says_what_to_install(self):
        event = echo(b"x" * 200)
        hidden = sys.modules.get("pyarrow")
        sys.modules["pyarrow"] = None
        try:
            with self.assertRaisesRegex(dataflow.DataflowError, "pip install pyarrow"):
                event.arrow()
        finally:
            del sys.modules["pyarrow"]
            if hidden:
                sys.modules["pyarrow"] = hidden

    @unittest.skipUnless(importlib.util.find_spec("pyarrow"), "pyarrow is not installed")
    def test_arrow_reads_a_message_in_place_and_lets_it_go(self):
        import pyarrow

        table = pyarrow.table({"number": list(range(1000)), "text": ["x"] * 1000})
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        for _ in range(8):
            event = echo(sink.getvalue())
            self.assertTrue(event.held, "the message before was let go")
            buffer = event.arrow()
            self.assertEqual(buffer.address, event.numpy().ctypes.data)
            self.assertEqual(buffer.size, len(event))
            self.assertFalse(buffer.is_mutable)
            del event
            with pyarrow.ipc.open_stream(buffer) as stream:
                got = stream.read_all()
            address = got.column("number").chunk(0).buffers()[1].address
            self.assertTrue(buffer.address <= address < buffer.address + buffer.size)
            del buffer
            gc.collect()
            self.assertEqual(got, table)
            del got


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

    def test_metadata_that_is_replaced_may_run_code_of_its_own(self):
        loan = node.loan("out", 1000)
        seen = []

        class Noisy:
            def __del__(self):
                # The loan is asked while its metadata is replaced.
                seen.append(loan.metadata)

        loan.metadata = {"noisy": Noisy()}
        loan.metadata = {"n": 1}
        self.assertEqual(seen, [{"n": 1}])
        with loan:
            pass
        self.assertEqual(message().metadata["n"], 1)

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


    def test_a_forked_child_is_refused_at_once_also_while_a_thread_waits(self):
        loan = node.loan("out", 1000)
        array = loan.__enter__()
        thread = threading.Thread(target=message)
        thread.start()
        until_it_waits(thread)
        child = os.fork()
        if child == 0:
            # A wait for a lock that nobody gives back ends by this.
            signal.alarm(60)
            refused = 0
            calls = (
                node.recv,
                lambda: node.recv(timeout=60),
                lambda: next(node),
                node.ready,
                lambda: node.send("out", b"from the child"),
                lambda: node.loan("out", 1000),
                lambda: loan.__exit__(None, None, None),
            )
            for call in calls:
                try:
                    call()
                except dataflow.DataflowError as error:
                    refused += "forked" in str(error)
            node.close()
            os._exit(0 if refused == len(calls) else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        array[:] = 4
        loan.__exit__(None, None, None)
        thread.join()
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
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, handler)
        try:
            with self.assertRaises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                node.recv()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        self.assertEqual(echo(b"after").bytes(), b"after")

    def test_a_signal_ends_the_wait_for_a_turn(self):
        def handler(number, frame):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

        received = []
        thread = threading.Thread(target=lambda: received.append(message().bytes()))
        thread.start()
        until_it_waits(thread)
        with self.assertRaises(TimeoutError):
            node.recv(timeout=0)
        with self.assertRaises(TimeoutError):
            node.recv(timeout=0.01)
        before = signal.signal(signal.SIGALRM, handler)
        try:
            with self.assertRaises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
                node.recv()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        node.send("out", b"for the other thread")
        thread.join()
        self.assertEqual(received, [b"for the other thread"])

    def test_threads_receive_one_after_the_other(self):
        received = []
        threads = [threading.Thread(target=lambda: received.append(message().bytes())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(4):
            node.send("out", bytes([number]))
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(received), [b"\0", b"\1", b"\2", b"\3"])

    def test_a_handler_cannot_make_the_call_that_it_has_interrupted(self):
        def handler(number, frame):
            node.recv()

        def interrupt():
            # Before, there is no call that the handler has interrupted, and its own would wait for ever.
            until_it_waits(threading.main_thread())
            signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

        thread = threading.Thread(target=interrupt)
        before = signal.signal(signal.SIGALRM, handler)
        try:
            thread.start()
            with self.assertRaisesRegex(RuntimeError, "set a flag"):
                node.recv()
            thread.join()
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
