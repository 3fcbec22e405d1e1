"""Takes readings of one peer for the program at the other end of the pipes: a line asks, a line answers."""

import statistics
import sys
import time

MIB = b"7" * (1 << 20)


def of_trips(trip, argument, times):
    """The median of so many round trips, one after another, in microseconds."""
    each = []
    for _ in range(times):
        begun = time.perf_counter()
        result = trip(argument)
        each.append(time.perf_counter() - begun)
        assert result == argument
    return statistics.median(each) * 1e6


def of_many(run_all, times):
    """How many small tasks end in a second when all are submitted at once."""
    begun = time.perf_counter()
    results = run_all(range(times))
    seconds = time.perf_counter() - begun
    assert list(results) == list(range(times))
    return times / seconds


def serve(trip, large, run_all):
    """Answers until the pipe ends. The first line says that the workers are there."""
    assert trip(1) == 1
    print("ready", flush=True)
    for line in sys.stdin:
        case, times = line.split()
        if case == "trip":
            answer = of_trips(trip, 7, int(times))
        elif case == "mib":
            answer = of_trips(large, MIB, int(times))
        else:
            answer = of_many(run_all, int(times))
        print(answer, flush=True)
