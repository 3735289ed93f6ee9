"""Processes that train together: how they part."""

import atexit

import torch.distributed as dist


def part_at_exit() -> None:
    """Close the connection between processes that train together before Python ends.

    Threads of gloo that are still there when it ends abort the process, seldom and after all is done
    ("terminate called without an active exception", exit code -6); Fabric closes connections of NCCL only.
    """
    if dist.is_available() and dist.is_initialized():
        atexit.register(_part)


def _part() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
