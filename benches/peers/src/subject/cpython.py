"""One reading of CPython's own pool: group, case index, "full" or "quick". Prints a number, or nothing.

The cases are those of group/*.rs, by index; what is timed is the same.
"""
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import mean, median

signal.alarm(120)
group, case, size = sys.argv[1], int(sys.argv[2]), sys.argv[3]


def amount(full):
    return full // 20 if size == "quick" else full


def task(i):
    return i + 1


def submit_collect():
    producers, workers = [(1, 2), (8, 2), (64, 2), (1, 64)][case]
    share = amount(100_000) // producers

    def produce():
        futures = [pool.submit(task, i) for i in range(share)]
        assert sum(f.result() for f in futures) == share * (share + 1) // 2

    with ThreadPoolExecutor(workers) as pool:
        [f.result() for f in [pool.submit(task, i) for i in range(amount(5_000))]]
        start = time.perf_counter_ns()
        if producers == 1:
            produce()
        else:
            threads = [threading.Thread(target=produce) for _ in range(producers)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        return (time.perf_counter_ns() - start) / (share * producers)


def round_trip():
    if case == 3:
        # Threads of this interpreter could not burn two cores: the lock lets one run.
        return None
    times = []
    with ThreadPoolExecutor(2) as pool:
        [f.result() for f in [pool.submit(task, i) for i in range(100)]]
        end = time.perf_counter_ns() + amount(500_000_000)
        back = 0
        while back < end:
            if case == 2:
                time.sleep(0.001)
            start = time.perf_counter_ns()
            pool.submit(task, 1).result()
            back = time.perf_counter_ns()
            times.append(back - start)
    if case == 1:
        return sorted(times)[int((len(times) - 1) * 0.99)]
    return median(times)


def cold_start():
    times = []
    for _ in range(amount(400)):
        time.sleep(0.001)
        start = time.perf_counter_ns()
        pool = ThreadPoolExecutor(2)
        pool.submit(task, 0).result()
        times.append(time.perf_counter_ns() - start)
        pool.shutdown()
    return median(times)


measure = {"submit_collect": submit_collect, "round_trip": round_trip, "cold_start": cold_start}.get(group)
figure = measure() if measure else None
if figure is not None:
    print(float(figure))
