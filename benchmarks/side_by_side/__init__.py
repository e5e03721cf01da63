"""What the benchmarks of servers share: the servers, the clients that ask them, the files that are stored."""
