"""The outside world: storage, HTTP, the command line."""
