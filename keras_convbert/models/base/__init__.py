"""What every model family inherits."""
