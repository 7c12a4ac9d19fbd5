"""The use cases: commands in, answers out."""
