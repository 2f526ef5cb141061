"""What a process sets up around torch: memory, layout, compilation, ranks, preemption."""
