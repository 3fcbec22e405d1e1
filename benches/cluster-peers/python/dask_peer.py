"""Dask's distributed, three worker processes of one thread each. It needs no Redis: its scheduler is a process of its own."""

from distributed import Client, LocalCluster


def echo(value):
    return value


if __name__ == "__main__":
    import dask_peer
    import reading

    cluster = LocalCluster(n_workers=3, threads_per_worker=1, processes=True, dashboard_address=None)
    client = Client(cluster)

    def trip(value):
        # Each of them is run: `pure` would take equal ones for the same.
        return client.submit(dask_peer.echo, value, pure=False).result()

    def run_all(values):
        return client.gather(client.map(dask_peer.echo, values, pure=False))

    try:
        reading.serve(trip, trip, run_all)
    finally:
        client.close()
        cluster.close()
