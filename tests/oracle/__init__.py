"""The independent truth: a reference tracer, its corpus of programs, and the comparison."""
