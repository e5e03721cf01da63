"""Many clients at once; benchmarks/load.py does the same for longer and prints how fast it went."""

from benchmarks.load import emulator, print_report, put_under_load

CLIENTS, SECONDS = 64, 8
MOST_MEMORY = 160 * 1024 * 1024  # bytes that the emulator may grow by: 2.5 MB for each client
KINDS = {"store", "retrieve", "study", "metadata", "search", "search page", "delete", "retrieve deleted"}
CONTESTED = {"contested store", "contested retrieve", "contested delete"}


def test_64_clients_get_what_they_stored_and_nothing_else() -> None:
    with emulator() as server:
        report = put_under_load(server.url, CLIENTS, SECONDS)
        memory = [size for _, size in server.memory]
        log = server.log.read_text("utf-8")
    print_report(report, server.memory)  # for whoever looks why this failed
    assert report.wrong == []
    assert not [status for _, status in report.statuses if not 200 <= status < 500]
    assert report.kinds().keys() >= KINDS | CONTESTED and min(report.kinds()[kind] for kind in KINDS) >= 10
    assert len(report.kept) >= CLIENTS and report.deleted
    assert max(memory) - memory[0] < MOST_MEMORY
    assert "Traceback" not in log
