"""Text, ids and spans; knows no model and no weight."""
