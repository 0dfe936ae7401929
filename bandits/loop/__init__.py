"""The one loop: rounds, seeds, chunks, and feedback that comes late."""
