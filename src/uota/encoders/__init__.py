"""Encoders, and network parts that several methods share."""
