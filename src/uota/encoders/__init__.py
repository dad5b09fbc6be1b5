"""Encoders, and the networks around them that methods share."""
