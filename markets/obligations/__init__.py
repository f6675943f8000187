"""Obligations: how they are judged, and how they stand."""
