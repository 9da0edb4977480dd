"""Adapters: these sessions in the place of a framework's own, one module each."""
