"""Measures `TaskPrefix.states` of dask `distributed`: how many tasks of each state there are, of one name.

Arguments: numbers of tasks. Prints a line for each of them: the version, the number, and the median nanoseconds of a
change of a task's state, of the states of one prefix, and of those of all prefixes; then the resident bytes a task. The
scheduler's own code makes the tasks: ten in a group, and ten prefixes, among which the groups are spread evenly. A
change is what the scheduler does of its statistics at a transition, the assignment to `TaskState.state`, and nothing
else of it.
"""

import gc
import random
import statistics
import sys
import time
from types import SimpleNamespace

import distributed
from distributed.scheduler import SchedulerState

PREFIXES = 10
TASKS_IN_A_GROUP = 10
BATCHES = 9
CHANGES_IN_A_BATCH = 2_000
STATES = ["released", "waiting", "processing", "memory"]


def resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def scheduler_with(tasks: int) -> SimpleNamespace:
    """What `SchedulerState.new_task` needs of a scheduler."""
    scheduler = SimpleNamespace(tasks={}, task_prefixes={}, task_groups={}, validate=False)
    for number in range(tasks):
        group, place = divmod(number, TASKS_IN_A_GROUP)
        # A prefix is what is before the token, which is 32 hexadecimal digits.
        key = (f"node_{group % PREFIXES}-{group:032x}", place)
        SchedulerState.new_task(scheduler, key, None, "released")
    return scheduler


def median_ns(calls_in_a_batch: int, batch) -> float:
    """The median of what a call costs, over some batches; the first is not counted."""
    took = []
    for _ in range(BATCHES + 1):
        began = time.perf_counter_ns()
        batch()
        took.append((time.perf_counter_ns() - began) / calls_in_a_batch)
    return statistics.median(took[1:])


def measure(tasks: int) -> None:
    gc.collect()
    before = resident_bytes()
    scheduler = scheduler_with(tasks)
    gc.collect()
    bytes_a_task = (resident_bytes() - before) / tasks
    # As a long-running scheduler would: what is there is not looked at again and again.
    gc.freeze()

    chance = random.Random(7)
    everything = list(scheduler.tasks.values())
    prefixes = list(scheduler.task_prefixes.values())
    assert len(prefixes) == min(PREFIXES, tasks // TASKS_IN_A_GROUP)

    changing = [
        (chance.choice(everything), STATES[number % len(STATES)])
        for number in range(CHANGES_IN_A_BATCH)
    ]

    def change() -> None:
        for task, state in changing:
            task.state = state

    change_ns = median_ns(CHANGES_IN_A_BATCH, change)

    # Those that count at each query are asked less often.
    began = time.perf_counter_ns()
    prefixes[0].states
    queries = max(1, min(2_000, 50_000_000 // max(1, time.perf_counter_ns() - began)))

    def ask_one() -> None:
        for _ in range(queries):
            prefixes[0].states

    def ask_all() -> None:
        for _ in range(max(1, queries // PREFIXES)):
            for prefix in prefixes:
                prefix.states

    one_ns = median_ns(queries, ask_one)
    all_ns = median_ns(max(1, queries // PREFIXES), ask_all)
    kept = sum(sum(prefix.states.values()) for prefix in prefixes)
    assert kept == tasks, f"{kept} of {tasks} tasks have a state"
    print(
        distributed.__version__,
        tasks,
        *(round(figure, 1) for figure in (change_ns, one_ns, all_ns, bytes_a_task)),
        flush=True,
    )


for number in sys.argv[1:]:
    measure(int(number))
