"""Presets: opening, checking, loading and saving."""
