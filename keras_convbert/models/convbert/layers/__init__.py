"""Layers of the ConvBERT models."""
