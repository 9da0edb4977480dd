"""Adapters to frameworks."""
