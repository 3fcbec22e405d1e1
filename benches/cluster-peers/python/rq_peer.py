"""RQ, three workers that run tasks in their own process: without the fork for each that is its default."""

import os
import subprocess
import sys

import redis
import rq

# Longer than the wait for a result.
connection = redis.Redis.from_url(os.environ["PEERS_URL"], socket_timeout=120)
queue = rq.Queue("peers", connection=connection)


def echo(value):
    return value


def result(job):
    # Waits in a blocking read of the job's stream of results.
    return job.latest_result(timeout=60).return_value


def trip(value):
    return result(queue.enqueue(echo, value, result_ttl=60))


def run_all(values):
    ready = [rq.Queue.prepare_data(echo, args=(value,), result_ttl=60) for value in values]
    return [result(job) for job in queue.enqueue_many(ready)]


if __name__ == "__main__":
    if sys.argv[1:] == ["worker"]:
        rq.SimpleWorker([queue], connection=connection).work(logging_level="ERROR")
        sys.exit()

    import reading
    import rq_peer

    command = [sys.executable, __file__, "worker"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    workers = [subprocess.Popen(command, **quiet) for _ in range(3)]
    try:
        reading.serve(rq_peer.trip, rq_peer.trip, rq_peer.run_all)
    finally:
        for worker in workers:
            worker.kill()
