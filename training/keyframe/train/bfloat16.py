"""Where convolutions in bfloat16 save time."""

import torch


def is_fast(device: str = 'cpu') -> bool:
    """Return whether a device computes in bfloat16.

    Processors without it convert forth and back, which takes some ten times as long as float32.

    Args:
        device: type of a torch device.
    """
    if device == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    found = torch.cpu.get_capabilities()
    return bool(found.get('avx512_bf16') or found.get('amx_bf16') or found.get('bf16'))
