"""Masking and replacement of tokens for pretraining."""
