"""The process around the model: malloc, memory layout, compilation, ranks, preemption."""
