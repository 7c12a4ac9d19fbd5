"""The insightlog command."""
