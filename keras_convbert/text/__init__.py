"""Text, token ids and spans, independent of models and weights."""
