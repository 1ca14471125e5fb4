"""A program that does nothing at all."""
