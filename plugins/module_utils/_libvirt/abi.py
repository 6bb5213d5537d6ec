# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two functions of libvirt's C library that its Python binding cannot call on Xen.

The binding measures every CPU map by virNodeGetCPUMap() first (getPyNodeCPUCount() in libvirt-override.c), which the
libxl driver does not have, and so never gets as far as the function that was meant. Here they are called directly:
their interface is part of libvirt's stable ABI, and the library is loaded already.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import ctypes
from typing import Any

# REMOTE_CPUMAP_MAX in libvirt's src/remote/remote_protocol.x: more bytes a daemon does not take in one map.
_MAP_BYTES = 2048
_LIBRARY = "libvirt.so.0"


class _VcpuInfo(ctypes.Structure):
    # struct _virVcpuInfo in libvirt-domain.h
    _fields_ = (
        ("number", ctypes.c_uint),
        ("state", ctypes.c_int),
        ("cpu_time", ctypes.c_ulonglong),
        ("cpu", ctypes.c_int),
    )


def get_vcpus(domain: Any, most: int) -> list[tuple[int, bytes]] | None:
    """virDomainGetVcpus() of at most ``most`` vCPUs: pairs (vCPU, CPU map, the lowest CPU in the lowest bit).

    ``domain`` is the binding's virDomain. None is libvirt's failure; its error is then this thread's last one.
    """
    infos = (_VcpuInfo * most)()
    maps = ctypes.create_string_buffer(most * _MAP_BYTES)
    found = _library().virDomainGetVcpus(_pointer(domain), infos, most, maps, _MAP_BYTES)
    if found < 0:
        return None
    # The libxl driver says ``most`` however few there are, and leaves the rest zero: none but the first is number 0.
    return [
        (number, maps.raw[number * _MAP_BYTES : (number + 1) * _MAP_BYTES])
        for number in range(found)
        if infos[number].number == number
    ]


def pin_vcpu(domain: Any, vcpu: int, cpu_map: bytes, flags: int) -> bool:
    """virDomainPinVcpuFlags(). False is libvirt's failure; its error is then this thread's last one."""
    status = _library().virDomainPinVcpuFlags(_pointer(domain), vcpu, cpu_map, len(cpu_map), flags)
    return bool(status == 0)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    library.virDomainGetVcpus.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_VcpuInfo),
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    )
    library.virDomainPinVcpuFlags.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint,
    )
    return library


def _pointer(domain: Any) -> int:
    """The virDomainPtr that the binding keeps in a capsule (libvirt_virDomainPtrWrap() in typewrappers.c)."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return int(get(domain._o, b"virDomainPtr"))
