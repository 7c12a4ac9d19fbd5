"""The Falcon server."""
