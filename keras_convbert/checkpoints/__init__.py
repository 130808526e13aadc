"""File formats of weights, and the assignment of arrays to variables."""
