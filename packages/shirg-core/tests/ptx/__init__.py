"""A small PTX machine: runs the code that Triton compiles for NVIDIA GPUs, on a CPU, and watches for data races.

The interpreter checks what a kernel means, one program at a time on whole tensors; what the compiler makes of it
(layouts, shared memory, barriers, matrix instructions) is checked here, thread by thread.
"""
