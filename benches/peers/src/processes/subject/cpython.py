"""One reading of a pool of processes of CPython's: "executor" or "pool", start method, figure, case index, "full" or
"quick". Prints a number, or nothing.

The cases are those of figure/*.rs, by index; what is timed is the same.
"""
import multiprocessing
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from statistics import median

WORKERS = 2


def task(i):
    return i + 1


def same(data):
    return data


class Executor:
    def __init__(self, workers, context):
        self.pool = ProcessPoolExecutor(workers, mp_context=context)

    def submit(self, f, argument):
        return self.pool.submit(f, argument).result

    def map(self, f, items, chunksize):
        return self.pool.map(f, items, chunksize=chunksize)

    def end(self):
        self.pool.shutdown()


class Pool:
    def __init__(self, workers, context):
        self.pool = context.Pool(workers)

    def submit(self, f, argument):
        return self.pool.apply_async(f, (argument,)).get

    def map(self, f, items, chunksize):
        return self.pool.imap(f, items, chunksize=chunksize)

    def end(self):
        self.pool.terminate()
        self.pool.join()


def measure(pool_type, context, figure, case, quick):
    def amount(full):
        return max(full // 20, 1) if quick else full

    def round_trip():
        pool = pool_type(WORKERS, context)
        [result() for result in [pool.submit(task, i) for i in range(50)]]
        times = []
        end = time.perf_counter_ns() + amount(500_000_000)
        back = 0
        while back < end:
            start = time.perf_counter_ns()
            pool.submit(task, 1)()
            back = time.perf_counter_ns()
            times.append(back - start)
        pool.end()
        return median(times)

    def submit_collect():
        def go(n):
            results = [pool.submit(task, i) for i in range(n)]
            assert sum(result() for result in results) == n * (n + 1) // 2

        pool = pool_type(WORKERS, context)
        tasks = amount(10_000)
        go(tasks // 20)
        start = time.perf_counter_ns()
        go(tasks)
        figure = (time.perf_counter_ns() - start) / tasks
        pool.end()
        return figure

    def map_():
        if case not in (0, 3):
            # Work that takes 10 us there is another work here.
            return None
        chunksize, items = {0: (1, amount(5_000)), 3: (100, amount(50_000))}[case]
        pool = pool_type(WORKERS, context)
        list(pool.map(task, range(items // 20), chunksize))
        start = time.perf_counter_ns()
        assert sum(1 for _ in pool.map(task, range(items), chunksize)) == items
        figure = (time.perf_counter_ns() - start) / items
        pool.end()
        return figure

    def echo():
        if case > 3:
            return None
        size, goes = [(1 << 10, 4000), (64 << 10, 1000), (1 << 20, 200), (16 << 20, 20)][case]
        pool = pool_type(1, context)
        times = []
        for go in range(amount(goes) + 2):
            sent = bytes([go % 256]) * size
            start = time.perf_counter_ns()
            back = pool.submit(same, sent)()
            times.append((time.perf_counter_ns() - start) / 1e3)
            assert len(back) == size
        pool.end()
        return median(times[2:])

    def cold_start():
        if case == 2:
            return None
        ballast = bytearray(b"\1") * (2 << 30) if case == 1 else b""
        times = []
        for _ in range(amount(20) + 1):
            start = time.perf_counter_ns()
            pool = pool_type(WORKERS, context)
            pool.submit(task, 0)()
            times.append((time.perf_counter_ns() - start) / 1e3)
            pool.end()
        del ballast
        return median(times[1:])

    figures = {
        "round_trip": round_trip,
        "submit_collect": submit_collect,
        "map": map_,
        "echo": echo,
        "cold_start": cold_start,
    }
    return figures[figure]() if figure in figures else None


if __name__ == "__main__":
    signal.alarm(150)
    pool, start, figure, case, size = sys.argv[1:]
    pool_type = {"executor": Executor, "pool": Pool}[pool]
    context = multiprocessing.get_context(start)
    reading = measure(pool_type, context, figure, int(case), size == "quick")
    if reading is not None:
        print(float(reading))
