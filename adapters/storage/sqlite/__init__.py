"""The event store, its views and the capture log in SQLite."""
