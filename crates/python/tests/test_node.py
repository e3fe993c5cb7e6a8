"""The Python API, in real dataflows: run by `make test` against the installed wheel.

    .venv/bin/python -m unittest discover --start-directory crates/python/tests
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DATAFLOW = Path(os.environ.get("DATAFLOW", ROOT / "target" / "debug" / "dataflow"))

# Nothing here takes more than some seconds; a machine under load may.
PATIENCE_SECONDS = 120


class Dataflows(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, text):
        (self.folder / name).write_text(textwrap.dedent(text))

    def start(self, nodes, name="test"):
        """Starts a dataflow whose nodes run in this Python."""
        text = f"name: {name}\nnodes:\n" + textwrap.indent(textwrap.dedent(nodes), "  ")
        (self.folder / "flow.yml").write_text(text.replace("PYTHON", sys.executable))
        return subprocess.Popen(
            [DATAFLOW, "up", "flow.yml"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, process, code=0):
        """Waits for its end; gives what it printed."""
        try:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            self.fail(f"the dataflow does not end:\n{output}")
        self.assertEqual(process.returncode, code, output)
        return output

    def test_everything_inside_a_node(self):
        process = self.start(
            f"""
            - id: me
              path: {HERE / "inside_a_node.py"}
              python: PYTHON
              output_memory_mb: 64
              inputs:
                in: {{ source: me/out, queue_size: 64, max_held: 4 }}
              outputs: [out, unread]
            """,
            name="inside",
        )
        output = self.end(process)
        self.assertIn("OK", output)

    def test_a_source_ends_well_at_a_stop_that_it_learns_of_by_sending(self):
        self.write(
            "source.py",
            """
            from dataflow import Node

            with Node() as node:
                number = 0
                while True:
                    node.send("out", number.to_bytes(8, "little"))
                    number += 1
            """,
        )
        self.write(
            "sink.py",
            """
            from dataflow import Node

            with Node() as node:
                expected = 0
                for event in node:
                    if event.type == "input":
                        assert int.from_bytes(event.bytes(), "little") == expected
                        expected += 1
                        if expected == 1000:
                            print("flowing", flush=True)
                    else:
                        print(event.type, event.id)
            """,
        )
        process = self.start(
            """
            - id: source
              path: ./source.py
              python: PYTHON
              outputs: [out]
            - id: sink
              path: ./sink.py
              python: PYTHON
              inputs:
                in: { source: source/out, queue_policy: block }
            """
        )
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "flowing" in line:
                process.send_signal(signal.SIGINT)
                break
        output = "".join(lines) + self.end(process)
        self.assertIn("input_closed in", output)
        self.assertIn("all_inputs_closed None", output)
        self.assertIn("drained", output)

    def test_a_timer_counts_what_it_missed_and_a_stop_is_an_event(self):
        self.write(
            "clock.py",
            """
            import time
            from dataflow import Node

            with Node() as node:
                first = next(node)
                assert (first.type, first.id, first.source) == ("input", "tick", "timer"), first
                time.sleep(0.1)
                late = next(node)
                assert late.metadata["missed"] >= 5, late.metadata
                assert late.sequence == first.sequence + 1 + late.metadata["missed"]
                assert late.bytes() == b"" and late.numpy().size == 0
                print("ticking", flush=True)
                for event in node:
                    if event.type == "stop":
                        print("stop seen")
                assert node.recv() is None
            """,
        )
        process = self.start(
            """
            - id: clock
              path: ./clock.py
              python: PYTHON
              inputs: { tick: timer/10ms }
            """
        )
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "ticking" in line:
                process.send_signal(signal.SIGINT)
                break
        output = "".join(lines) + self.end(process)
        self.assertIn("stop seen", output)

    def test_messages_that_are_held_at_the_end_of_the_interpreter_disturb_nothing(self):
        self.write(
            "holder.py",
            """
            import threading
            from dataflow import Node

            node = Node()
            node.send("out", bytes(100_000))
            kept = next(node)
            view = kept.numpy()
            also = {"kept": kept}
            also["self"] = also
            with node.loan("out", 1000) as unreleased:
                pass
            # A daemon thread waits inside the library while the interpreter ends.
            threading.Thread(target=lambda: list(node), daemon=True).start()
            """,
        )
        process = self.start(
            """
            - id: holder
              path: ./holder.py
              python: PYTHON
              inputs: { in: { source: holder/out, queue_size: 4 } }
              outputs: [out]
            """
        )
        self.end(process)

    def test_a_node_that_is_closed_ends_the_receives_of_other_threads(self):
        self.write(
            "closing.py",
            """
            import sys
            import threading
            import dataflow

            node = dataflow.Node()
            ended = []

            def receive():
                try:
                    node.recv()
                except dataflow.DataflowError as error:
                    ended.append("closed" in str(error))

            threads = [threading.Thread(target=receive) for _ in range(3)]
            for thread in threads:
                thread.start()
            node.close()
            for thread in threads:
                thread.join()
            receive()
            assert ended == [True] * 4, ended
            """,
        )
        process = self.start(
            """
            - id: closing
              path: ./closing.py
              python: PYTHON
              inputs: { tick: timer/1h }
            """
        )
        self.end(process)

    def test_each_message_is_released_once_whoever_lets_go_of_the_last_view(self):
        self.write(
            "views.py",
            f"""
            import gc
            import json
            import subprocess
            import threading
            import numpy
            from dataflow import Node

            def held():
                \"\"\"What the runtime says: held, released, delivered.\"\"\"
                told = subprocess.run(["{DATAFLOW}", "ps", "--json"], capture_output=True, check=True)
                [dataflow] = json.loads(told.stdout)
                counts = dataflow["edges"][0]["counts"]
                assert counts["delivered"] == counts["released"] + counts["held"] + counts["lost"], counts
                return counts["held"], counts["released"], counts["delivered"]

            def receive():
                for event in node:
                    if event.type == "input":
                        return event

            with Node() as node:
                kept = []
                for number in range(10):
                    node.send("out", numpy.full((100, 100), number, "<f4"), {{"number": number}})
                    kept.append(receive())
                assert held() == (10, 0, 10), held()

                # A slice of a view of a view, after the event.
                view = kept.pop(0).numpy()[10:20, ::2].T
                assert held() == (10, 0, 10) and (view == 0).all()
                del view
                assert held() == (9, 1, 10), held()

                # A memoryview, and a slice of it.
                view = memoryview(kept.pop(0))[4:8]
                assert held() == (9, 1, 10) and bytes(view) == bytes(numpy.float32(1))
                view.release()
                assert held() == (8, 2, 10), held()
                del view
                assert held() == (8, 2, 10), held()

                # Several views of one message.
                event = kept.pop(0)
                views = [event.numpy(), memoryview(event), event.numpy()[0]]
                del event
                while views:
                    assert held() == (8, 2, 10), held()
                    views.pop()
                assert held() == (7, 3, 10), held()

                # Garbage in a cycle, let go by the collector.
                gc.disable()
                cycle = {{"event": kept.pop(0)}}
                cycle["view"] = cycle["event"].numpy()[1:]
                cycle["self"] = cycle
                del cycle
                assert held() == (7, 3, 10), held()
                gc.collect()
                assert held() == (6, 4, 10), held()

                # Another thread has the last view.
                views = [kept.pop(0).numpy()]
                thread = threading.Thread(target=views.clear)
                thread.start()
                thread.join()
                assert held() == (5, 5, 10), held()

                # The collector, in another thread.
                cycle = [kept.pop(0).numpy()[::3]]
                cycle.append(cycle)
                del cycle
                thread = threading.Thread(target=gc.collect)
                thread.start()
                thread.join()
                assert held() == (4, 6, 10), held()
                gc.enable()

                # One is looked at after the node was closed, the others at the interpreter's end.
                view = kept.pop(0).numpy()
            assert (view == 6).all()
            print("views are good", flush=True)
            """,
        )
        process = self.start(
            """
            - id: views
              path: ./views.py
              python: PYTHON
              inputs: { in: { source: views/out, queue_size: 64, max_held: 64 } }
              outputs: [out]
            """
        )
        self.assertIn("views are good", self.end(process))
        [report] = self.folder.glob(".dataflow/runs/*/report.json")
        [edge] = json.loads(report.read_text())["edges"]
        counts = edge["counts"]
        self.assertEqual((counts["sent"], counts["delivered"], counts["held"]), (10, 10, 0))
        self.assertEqual(counts["released"] + counts["lost"], 10, counts)

    def test_an_exception_fails_the_node(self):
        self.write(
            "bad.py",
            """
            from dataflow import Node

            with Node() as node:
                node.ready()
                raise ValueError("of the user's own")
            """,
        )
        process = self.start(
            """
            - id: bad
              path: ./bad.py
              python: PYTHON
            """
        )
        output = self.end(process, code=1)
        self.assertIn("of the user's own", output)


class Outside(unittest.TestCase):
    def test_outside_a_dataflow_the_error_says_what_to_do(self):
        environment = {k: v for k, v in os.environ.items() if k != "DATAFLOW_CONTROL_FD"}
        process = subprocess.run(
            [sys.executable, "-c", "import dataflow; dataflow.Node()"],
            env=environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual(process.returncode, 1)
        self.assertIn("dataflow.ConnectError", process.stderr)
        self.assertIn("dataflow up", process.stderr)

    def test_a_descriptor_that_is_no_control_socket_is_refused(self):
        for value in ("0", "77", "x", "-1"):
            process = subprocess.run(
                [sys.executable, "-c", "import dataflow; dataflow.Node()"],
                env={**os.environ, "DATAFLOW_CONTROL_FD": value},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            self.assertEqual(process.returncode, 1)
            self.assertIn("ConnectError", process.stderr)
            self.assertIn(f"`{value}`", process.stderr)

    def test_a_signal_ends_the_wait_for_a_runtime_that_says_nothing(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", "import dataflow; dataflow.Node()"],
                env={**os.environ, "DATAFLOW_CONTROL_FD": str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                stderr=subprocess.PIPE,
                text=True,
            )
            self.assertTrue(ours.recv(1), "it says hello")
            while True:
                # A signal just before the wait does not end it: that is so in all of Python.
                process.send_signal(signal.SIGINT)
                try:
                    _, said = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    pass
        self.assertIn("KeyboardInterrupt", said)
        self.assertEqual(process.returncode, -signal.SIGINT)

    def test_the_module_imports_no_numpy(self):
        code = "import sys, dataflow; sys.exit('numpy' in sys.modules)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code]).returncode, 0)


if __name__ == "__main__":
    unittest.main()
